"""Puts into messages what is to be said of groups, and says it again before the broker forgets it."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

from monitor.bundle.manifest import Manifest
from monitor.core.messages import Outgoing
from monitor.core.verdicts import AlertEvent, GroupState
from monitor.groups.mutes import Mutes
from monitor.groups.operator_changes import Decisions
from monitor.groups.state import Memory
from monitor.publish.home_assistant import Discovery
from monitor.publish.message_properties import STATE_EXPIRY
from monitor.publish.payloads import alert_payload, muted_payload, state_payload

__all__ = ["Herald"]

# How often all states are said again, in seconds: two attempts may fail before the broker forgets them.
_AGAIN_AFTER = STATE_EXPIRY / 3
# So many groups at once, and so many seconds from one portion to the next: 100,000 take four minutes.
_PORTION = 200
_PAUSE = 0.5


class Herald:
    """Says what came of a turn.

    Of a state only the newest counts. So it is put into words when it can be published, and until then all
    that is kept is whose it is: when 100,000 groups change theirs at once, that costs little.

    Parameters
    ----------
    memory : all that is known of each group.
    mutes : whose alerts are held back.
    manifest : of the bundle in use.
    discovery : makes groups known to Home Assistant; None where nobody asked for that.
    forgotten : is set when the broker may have lost what it retained: all states are said anew.
    reborn : is set when Home Assistant begins: all groups are announced anew.
    now : monotonic seconds.
    """

    def __init__(
        self,
        memory: Memory,
        mutes: Mutes,
        manifest: Manifest,
        discovery: Discovery | None,
        forgotten: threading.Event,
        reborn: threading.Event,
        now: float,
    ) -> None:
        self._memory = memory
        self._mutes = mutes
        self._discovery = discovery
        self._forgotten = forgotten
        self._reborn = reborn
        self.manifest = manifest
        # These are cleared once they are empty: else what all groups were in keeps 60 bytes for each of them.
        self._due: OrderedDict[str, None] = OrderedDict()  # groups whose state is to be said
        self._unknown: OrderedDict[str, None] = OrderedDict()  # groups that are to be announced
        # Groups that are to be said again. At first all: what the broker was still to be told when the
        # process before ended is kept nowhere.
        self._again = OrderedDict.fromkeys(memory.board.names())
        self._parting: list[Outgoing] = []  # last words of groups that are gone
        self._next_round = now + _AGAIN_AFTER
        self._next_portion = now

    def say(self, decisions: Decisions, lines: Sequence[GroupState], now: float) -> list[Outgoing]:
        """Return what each is to hear of a turn, once and surely; take note of the states to be said.

        Parameters
        ----------
        decisions : what the desk let through or changed.
        lines : of the groups whose state changed.
        now : monotonic seconds.
        """
        muted = decisions.muted
        self._due.update((line.group, None) for line in lines)
        if self._forgotten.is_set():
            self._forgotten.clear()
            self._reborn.set()
            self._due.update(dict.fromkeys(self._memory.board.names()))
            self._again.clear()
            muted = True
        messages, self._parting = self._parting, []
        messages += map(self._alert, decisions.events)
        if muted:
            messages.append(Outgoing("muted", muted_payload(self._mutes.lines()), retain=True))
        self._introduce()
        self._remind(now)
        return messages

    def states(self) -> Iterator[Outgoing]:
        """Yield what is to be said of groups, as it is by then, as long as somebody can publish it."""
        board = self._memory.board
        while self._due:
            name, _ = self._due.popitem(last=False)
            if name in board:
                yield self._state(name)
        self._due.clear()
        if self._discovery is None:
            return
        while self._unknown:
            name, _ = self._unknown.popitem(last=False)
            if name in board:
                yield self._discovery.announce(name)
        self._unknown.clear()

    def part(self, groups: Iterable[str]) -> None:
        """Take the last words of groups that are about to be set aside."""
        for name in groups:
            if name in self._due or name in self._again:
                self._due.pop(name, None)
                self._parting.append(self._state(name))
            if self._discovery is not None:
                self._unknown.pop(name, None)
                self._parting.append(self._discovery.withdraw(name))

    def _alert(self, event: AlertEvent) -> Outgoing:
        payload = alert_payload(event, self.manifest)
        return Outgoing(f"alerts/{event.group}", payload, retain=False, bundle=self.manifest.id)

    def _state(self, group: str) -> Outgoing:
        (line,) = self._memory.board.lines([group])
        acknowledged = self._memory.incidents.acknowledged(line.incident, group)
        payload = state_payload(line, acknowledged=acknowledged)
        return Outgoing(f"state/{group}", payload, retain=True, bundle=self.manifest.id)

    def _introduce(self) -> None:
        """See that groups that came are announced."""
        board = self._memory.board
        arrived, board.arrived = board.arrived, []
        if self._discovery is None:
            return
        self._again.update(dict.fromkeys(arrived))
        if len(self._again) > 2 * len(board):  # under more groups than max_groups some are gone again
            self._again = OrderedDict((name, None) for name in self._again if name in board)
        if self._reborn.is_set():
            self._reborn.clear()
            self._again = OrderedDict.fromkeys(board.names())

    def _remind(self, now: float) -> None:
        """See that the groups whose turn it is are said again."""
        if now >= self._next_round:
            self._next_round = now + _AGAIN_AFTER
            self._again = OrderedDict.fromkeys(self._memory.board.names())
        if not self._again or now < self._next_portion:
            return
        self._next_portion = now + _PAUSE
        for _ in range(min(_PORTION, len(self._again))):
            name, _ = self._again.popitem(last=False)
            self._due[name] = None
            if self._discovery is not None:
                self._unknown[name] = None
        if not self._again:
            self._again.clear()
