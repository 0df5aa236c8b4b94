"""Puts into messages what is to be said of groups, and says it again before the broker forgets it."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from monitor.about import STATE_EXPIRY
from monitor.desk import Decisions
from monitor.homeassistant import Discovery
from monitor.manifest import Manifest
from monitor.memory import Memory
from monitor.mutes import Mutes
from monitor.outbox import Outgoing
from monitor.payloads import alert_payload, muted_payload, state_payload
from monitor.records import AlertEvent, GroupState

__all__ = ["Herald"]

# How often all states are said again, in seconds: two attempts may fail before the broker forgets them.
_AGAIN_AFTER = STATE_EXPIRY / 3
# So many groups at once, and so many seconds from one portion to the next: 100,000 take four minutes.
_PORTION = 200
_PAUSE = 0.5


class Herald:
    """Says what came of a turn.

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
        self._withdrawn: list[str] = []
        self._again: OrderedDict[str, None] = OrderedDict()  # groups that are to be said again
        self._next_round = now + _AGAIN_AFTER
        self._next_portion = now

    def say(self, decisions: Decisions, lines: Sequence[GroupState], now: float) -> list[Outgoing]:
        """Return the messages of a turn.

        Parameters
        ----------
        decisions : what the desk let through or changed.
        lines : of the groups whose state changed.
        now : monotonic seconds.
        """
        muted = decisions.muted
        if self._forgotten.is_set():
            self._forgotten.clear()
            self._reborn.set()
            lines, muted = self._memory.board.lines(), True
        messages = [self._alert(event) for event in decisions.events]
        messages += map(self._state, lines)
        if muted:
            messages.append(Outgoing("muted", muted_payload(self._mutes.lines()), retain=True))
        messages += self._introduce()
        messages += self._repeat(now)
        return messages

    def gone(self, groups: Iterable[str]) -> None:
        """Take note of groups that were set aside."""
        if self._discovery is not None:
            self._withdrawn += groups

    def _alert(self, event: AlertEvent) -> Outgoing:
        payload = alert_payload(event, self.manifest)
        return Outgoing(f"alerts/{event.group}", payload, retain=False, bundle=self.manifest.id)

    def _state(self, line: GroupState) -> Outgoing:
        acknowledged = self._memory.incidents.acknowledged(line.incident, line.group)
        payload = state_payload(line, acknowledged=acknowledged)
        return Outgoing(f"state/{line.group}", payload, retain=True, bundle=self.manifest.id)

    def _introduce(self) -> list[Outgoing]:
        """Take back groups that are gone, and see that those that came are announced."""
        board = self._memory.board
        arrived, board.arrived = board.arrived, []
        if self._discovery is None:
            return []
        self._again.update(dict.fromkeys(arrived))
        if len(self._again) > 2 * len(board):  # under more groups than max_groups some are gone again
            self._again = OrderedDict((name, None) for name in self._again if name in board)
        if self._reborn.is_set():
            self._reborn.clear()
            self._again = OrderedDict.fromkeys(board.names())
        withdrawn, self._withdrawn = self._withdrawn, []
        return [self._discovery.withdraw(group) for group in withdrawn if group not in board]

    def _repeat(self, now: float) -> list[Outgoing]:
        """Return the messages of the groups whose turn it is."""
        board = self._memory.board
        if now >= self._next_round:
            self._next_round = now + _AGAIN_AFTER
            self._again = OrderedDict.fromkeys(board.names())
        if not self._again or now < self._next_portion:
            return []
        self._next_portion = now + _PAUSE
        names = [self._again.popitem(last=False)[0] for _ in range(min(_PORTION, len(self._again)))]
        lines = board.lines(name for name in names if name in board)
        messages = [self._state(line) for line in lines]
        if self._discovery is not None:
            messages += [self._discovery.announce(line.group) for line in lines]
        return messages
