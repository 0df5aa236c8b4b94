"""Puts into messages what is to be said of groups, and says it again before the broker forgets it."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from monitor.bundle.manifest import Manifest
from monitor.core.messages import OutboundMessage
from monitor.core.verdicts import AlertEvent, GroupStatus
from monitor.groups.mutes import Mutes
from monitor.groups.operator_changes import OperatorChanges
from monitor.groups.state import GroupStates
from monitor.publish.home_assistant import Discovery
from monitor.publish.message_properties import STATE_EXPIRY_S
from monitor.publish.payloads import alert_payload, muted_payload, state_payload

__all__ = ["Publisher", "RepublishSignals"]

# How often all states are said again, in seconds: two attempts may fail before the broker forgets them.
_REPUBLISH_INTERVAL_S = STATE_EXPIRY_S / 3
# So many groups at once, and so many seconds from one portion to the next: 100,000 take four minutes.
_REPUBLISH_BATCH_SIZE = 200
_REPUBLISH_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class RepublishSignals:
    """Set by the connections, on their threads, and cleared by the publisher."""

    retained_lost: threading.Event = field(default_factory=threading.Event)
    """The broker may have lost the messages that it retained: all states are published again."""
    home_assistant_restarted: threading.Event = field(default_factory=threading.Event)
    """Home Assistant started: all groups are announced again."""

    def request_states(self) -> None:
        """Have all states published again."""
        self.retained_lost.set()

    def request_announcements(self) -> None:
        """Have all groups announced again."""
        self.home_assistant_restarted.set()

    def take_states_request(self) -> bool:
        """Return whether all states are to be published again, and clear that."""
        return _take(self.retained_lost)

    def take_announcements_request(self) -> bool:
        """Return whether all groups are to be announced again, and clear that."""
        return _take(self.home_assistant_restarted)


def _take(event: threading.Event) -> bool:
    if not event.is_set():
        return False
    event.clear()
    return True


class Publisher:
    """Says what came of a turn.

    Of a state only the newest counts. So it is put into words when it can be published, and until then all
    that is kept is whose it is: when 100,000 groups change theirs at once, that costs little.

    Parameters
    ----------
    groups : all that is known of each group.
    mutes : whose alerts are held back.
    manifest : of the bundle in use.
    discovery : makes groups known to Home Assistant; None where nobody asked for that.
    signals : ask for all states, or all announcements, again.
    now : monotonic seconds.
    """

    def __init__(
        self,
        *,
        groups: GroupStates,
        mutes: Mutes,
        manifest: Manifest,
        discovery: Discovery | None,
        signals: RepublishSignals,
        now: float,
    ) -> None:
        self._groups = groups
        self._mutes = mutes
        self._discovery = discovery
        self._signals = signals
        self.manifest = manifest
        # These are cleared once they are empty: else what all groups were in keeps 60 bytes for each of them.
        self._pending_states: OrderedDict[str, None] = OrderedDict()  # groups whose state is to be said
        self._pending_announcements: OrderedDict[str, None] = OrderedDict()  # groups that are to be announced
        # Groups that are to be said again. At first all: what the broker was still to be told when the
        # process before ended is kept nowhere.
        self._republish_queue = OrderedDict.fromkeys(groups.names())
        self._final_messages: list[OutboundMessage] = []  # last words of groups that are gone
        self._next_republish_at = now + _REPUBLISH_INTERVAL_S
        self._next_batch_at = now

    def messages(
        self, changes: OperatorChanges, statuses: Sequence[GroupStatus], now: float
    ) -> list[OutboundMessage]:
        """Return what each is to hear of a turn, once and surely; take note of the states to be said.

        Parameters
        ----------
        changes : what the desk let through or changed.
        statuses : of the groups whose state changed.
        now : monotonic seconds.
        """
        mutes_changed = changes.mutes_changed
        self._pending_states.update((status.group, None) for status in statuses)
        if self._signals.take_states_request():
            self._signals.request_announcements()
            self._pending_states.update(dict.fromkeys(self._groups.names()))
            self._republish_queue.clear()
            mutes_changed = True
        messages, self._final_messages = self._final_messages, []
        messages += map(self._alert_message, changes.events)
        if mutes_changed:
            messages.append(OutboundMessage("muted", muted_payload(self._mutes.entries()), retain=True))
        self._queue_announcements()
        self._queue_republish(now)
        return messages

    def state_messages(self) -> Iterator[OutboundMessage]:
        """Yield what is to be said of groups, as it is by then, as long as somebody can publish it."""
        groups = self._groups
        while self._pending_states:
            name, _ = self._pending_states.popitem(last=False)
            if name in groups:
                yield self._state_message(name)
        self._pending_states.clear()
        if self._discovery is None:
            return
        while self._pending_announcements:
            name, _ = self._pending_announcements.popitem(last=False)
            if name in groups:
                yield self._discovery.announce(name)
        self._pending_announcements.clear()

    def add_final_messages(self, groups: Iterable[str]) -> None:
        """Take the last words of groups that are about to be set aside."""
        for name in groups:
            if name in self._pending_states or name in self._republish_queue:
                self._pending_states.pop(name, None)
                self._final_messages.append(self._state_message(name))
            if self._discovery is not None:
                self._pending_announcements.pop(name, None)
                self._final_messages.append(self._discovery.withdraw(name))

    def _alert_message(self, event: AlertEvent) -> OutboundMessage:
        payload = alert_payload(event, self.manifest)
        return OutboundMessage(f"alerts/{event.group}", payload, retain=False, bundle_id=self.manifest.id)

    def _state_message(self, group: str) -> OutboundMessage:
        (status,) = self._groups.statuses([group])
        acknowledged = self._groups.is_acknowledged(status.incident, group)
        payload = state_payload(status, acknowledged=acknowledged)
        return OutboundMessage(f"state/{group}", payload, retain=True, bundle_id=self.manifest.id)

    def _queue_announcements(self) -> None:
        """See that groups that came are announced."""
        groups = self._groups
        new_groups = groups.take_new_groups()
        if self._discovery is None:
            return
        self._republish_queue.update(dict.fromkeys(new_groups))
        if len(self._republish_queue) > 2 * len(groups):  # with more groups than max_groups some are evicted again
            self._republish_queue = OrderedDict((name, None) for name in self._republish_queue if name in groups)
        if self._signals.take_announcements_request():
            self._republish_queue = OrderedDict.fromkeys(groups.names())

    def _queue_republish(self, now: float) -> None:
        """See that the groups whose turn it is are said again."""
        if now >= self._next_republish_at:
            self._next_republish_at = now + _REPUBLISH_INTERVAL_S
            self._republish_queue = OrderedDict.fromkeys(self._groups.names())
        if not self._republish_queue or now < self._next_batch_at:
            return
        self._next_batch_at = now + _REPUBLISH_PAUSE_S
        for _ in range(min(_REPUBLISH_BATCH_SIZE, len(self._republish_queue))):
            name, _ = self._republish_queue.popitem(last=False)
            self._pending_states[name] = None
            if self._discovery is not None:
                self._pending_announcements[name] = None
        if not self._republish_queue:
            self._republish_queue.clear()
