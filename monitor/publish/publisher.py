"""Encodes alerts and states as messages, and repeats states before they expire at the broker."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from monitor.bundle.manifest import Manifest
from monitor.core.arrays import FloatArray
from monitor.core.messages import OutboundMessage
from monitor.core.verdicts import AlertEvent, GroupStatus
from monitor.groups.mutes import Mutes
from monitor.groups.operator_changes import OperatorChanges
from monitor.groups.state import GroupStates
from monitor.publish.home_assistant import Discovery
from monitor.publish.message_properties import STATE_EXPIRY_S
from monitor.publish.payloads import alert_payload, muted_payload, state_payload

__all__ = ["Publisher", "RepublishSignals"]

# Seconds between two publications of all states: two of them may fail before the states expire at the broker.
_REPUBLISH_INTERVAL_S = STATE_EXPIRY_S / 3
# States are republished in portions of this many groups, this many seconds apart: 100,000 groups take four
# minutes.
_REPUBLISH_BATCH_SIZE = 200
_REPUBLISH_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class RepublishSignals:
    """Requests to publish states or announcements again: set on network threads, cleared by the publisher."""

    retained_lost: threading.Event = field(default_factory=threading.Event)
    """Set if the broker may have lost its retained messages: all states are published again."""
    home_assistant_restarted: threading.Event = field(default_factory=threading.Event)
    """Set if Home Assistant has started: all groups are announced again."""

    def request_states(self) -> None:
        """Request that all states are published again."""
        self.retained_lost.set()

    def request_announcements(self) -> None:
        """Request that all groups are announced again."""
        self.home_assistant_restarted.set()

    def take_states_request(self) -> bool:
        """Return whether all states must be published again, and clear the request."""
        return _take(self.retained_lost)

    def take_announcements_request(self) -> bool:
        """Return whether all groups must be announced again, and clear the request."""
        return _take(self.home_assistant_restarted)


def _take(event: threading.Event) -> bool:
    if not event.is_set():
        return False
    event.clear()
    return True


class Publisher:
    """Encodes the messages of each batch.

    Only the newest state of a group matters. Therefore a state is encoded when it can be published, and until
    then only the name of its group is queued: this takes little memory when 100,000 groups change state at
    once.

    Parameters
    ----------
    groups : the state of the groups.
    mutes : the mutes to publish.
    manifest : manifest of the bundle in use.
    discovery : encodes announcements for Home Assistant; None if discovery is disabled.
    signals : requests to publish all states, or all announcements, again.
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
        """Manifest of the bundle in use."""
        # `clear` is called when these are empty: otherwise a dict that had all groups keeps 60 bytes for
        # each.
        self._pending_states: OrderedDict[str, None] = OrderedDict()  # groups whose state is to be published
        self._pending_announcements: OrderedDict[str, None] = OrderedDict()  # groups to be announced
        # Groups whose state is to be published again. At first all groups, because it is not stored which
        # states the previous process had published.
        self._republish_queue = OrderedDict.fromkeys(groups.names())
        self._final_messages: list[OutboundMessage] = []  # last messages of evicted groups
        self._next_republish_at = now + _REPUBLISH_INTERVAL_S
        self._next_batch_at = now

    def messages(
        self, changes: OperatorChanges, statuses: Sequence[GroupStatus], arrivals: FloatArray, now: float
    ) -> list[OutboundMessage]:
        """Return the messages that must be stored before they are published; queue the states to publish.

        Parameters
        ----------
        changes : alert events to publish, forgotten groups, and whether mutes changed.
        statuses : statuses of the groups whose status changed.
        arrivals : when the last reading of each judged window arrived, monotonic seconds: (window,).
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
        messages += (self._alert_message(event, arrivals) for event in changes.events)
        messages += self._removal_messages(changes.forgotten_groups)
        if mutes_changed:
            messages.append(OutboundMessage("muted", muted_payload(self._mutes.entries()), retain=True))
        self._queue_announcements()
        self._queue_republish(now)
        return messages

    def state_messages(self) -> Iterator[OutboundMessage]:
        """Yield states, then announcements; each is encoded when it is requested, so it is up to date."""
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

    def _removal_messages(self, groups: Iterable[str]) -> Iterator[OutboundMessage]:
        """Yield the messages that delete at the broker what is retained of groups that were forgotten."""
        for name in groups:
            yield OutboundMessage(f"state/{name}", b"", retain=True)
            if self._discovery is not None:
                yield self._discovery.withdraw(name)

    def _alert_message(self, event: AlertEvent, arrivals: FloatArray) -> OutboundMessage:
        return OutboundMessage(
            f"alerts/{event.group}",
            alert_payload(event, self.manifest),
            retain=False,
            bundle_id=self.manifest.id,
            arrived_monotonic=None if event.window_index < 0 else float(arrivals[event.window_index]),
        )

    def _state_message(self, group: str) -> OutboundMessage:
        (status,) = self._groups.statuses([group])
        self._groups.mark_published(group)
        acknowledged = self._groups.is_acknowledged(status.incident, group)
        payload = state_payload(status, self.manifest.feature_names, acknowledged=acknowledged)
        return OutboundMessage(f"state/{group}", payload, retain=True, bundle_id=self.manifest.id)

    def _queue_announcements(self) -> None:
        """Queue the announcements of new groups, or of all groups if Home Assistant restarted."""
        groups = self._groups
        new_groups = groups.take_new_groups()
        if self._discovery is None:
            return
        self._republish_queue.update(dict.fromkeys(new_groups))
        # If there are more groups than `max_groups`, some queued groups have been evicted.
        if len(self._republish_queue) > 2 * len(groups):
            known = (name for name in self._republish_queue if name in groups)
            self._republish_queue = OrderedDict.fromkeys(known)
        if self._signals.take_announcements_request():
            self._republish_queue = OrderedDict.fromkeys(groups.names())

    def _queue_republish(self, now: float) -> None:
        """Queue the next portion of groups to publish again, if it is due."""
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
