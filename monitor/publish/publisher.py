"""Encodes alerts and states as messages, and publishes states again before they expire at the broker."""

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

# Seconds between two publications of all states: two may fail before the states expire at the broker.
_REPUBLISH_INTERVAL_S = STATE_EXPIRY_S / 3
# Groups published again at a time, and seconds between two such portions: 100,000 groups take four minutes.
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
    """Encodes the messages of each batch.

    Only the newest state of a group counts. So a state is encoded when it can be published, and until then
    only the name of its group is kept: that costs little when 100,000 groups change their state at once.

    Parameters
    ----------
    groups : the state of the groups.
    mutes : whose alerts are held back.
    manifest : of the bundle in use.
    discovery : announces groups to Home Assistant; None where that is off.
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
        """Of the bundle in use."""
        # `clear` is called on these once they are empty: a dict that held all groups keeps 60 bytes for each.
        self._pending_states: OrderedDict[str, None] = OrderedDict()  # groups whose state is to be published
        self._pending_announcements: OrderedDict[str, None] = OrderedDict()  # groups to be announced
        # Groups to be published again. At first all: which states the process before had not published yet
        # is stored nowhere.
        self._republish_queue = OrderedDict.fromkeys(groups.names())
        self._final_messages: list[OutboundMessage] = []  # of groups that are evicted
        self._next_republish_at = now + _REPUBLISH_INTERVAL_S
        self._next_batch_at = now

    def messages(
        self, changes: OperatorChanges, statuses: Sequence[GroupStatus], now: float
    ) -> list[OutboundMessage]:
        """Return the messages that must be stored before they are published; note the states to publish.

        Parameters
        ----------
        changes : alert events to publish, and whether mutes changed.
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
        """Yield states, then announcements; each is encoded when it is asked for, so it is the newest."""
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
        """Encode the last messages of groups that are about to be evicted."""
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
        """Have new groups announced, and all where Home Assistant restarted."""
        groups = self._groups
        new_groups = groups.take_new_groups()
        if self._discovery is None:
            return
        self._republish_queue.update(dict.fromkeys(new_groups))
        # With more groups than max_groups some have been evicted again.
        if len(self._republish_queue) > 2 * len(groups):
            known = (name for name in self._republish_queue if name in groups)
            self._republish_queue = OrderedDict.fromkeys(known)
        if self._signals.take_announcements_request():
            self._republish_queue = OrderedDict.fromkeys(groups.names())

    def _queue_republish(self, now: float) -> None:
        """Have the next portion of groups published again, where one is due."""
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
