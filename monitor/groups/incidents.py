"""Each group's last incident: its first event, and whether it was published and acknowledged."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from operator import attrgetter

import msgspec

from monitor.core.verdicts import AlertEvent
from monitor.groups.stored_event import StoredEvent, to_alert_event

__all__ = ["Incident", "Incidents", "IsMuted", "end_early"]

_VERSION = 2

IsMuted = Callable[[str], bool]
"""Returns whether a group's alerts are held back."""

# Version, and the fields of `Incident`.
_StoredIncident = tuple[int, StoredEvent, bool, StoredEvent | None, bool]
_event_fields = attrgetter(*StoredEvent.__struct_fields__)


@dataclass(slots=True)
class Incident:
    """A group's incident."""

    event: AlertEvent
    """The first event of the incident; contributions and reason are removed once it is published."""
    published: bool = False
    """Whether the first event was published."""
    pending_resolved: AlertEvent | None = None
    """A `resolved` event that is held back: of this incident, or of an earlier, published incident."""
    acknowledged: bool = False
    """Whether an operator acknowledged the incident."""


def end_early(event: AlertEvent, ended_at: float, kind: str | None, reason: str = "") -> AlertEvent:
    """Return the `resolved` event of an incident that ends without Normal windows.

    Parameters
    ----------
    event : an event of the incident.
    ended_at : event time, seconds since the Unix epoch.
    kind : kind of fault as far as it could be told; None if it couldn't.
    reason : why it ends; "": the event has no reason.
    """
    return replace(
        event,
        status="resolved",
        ended_at=ended_at,
        repeat=0,
        contributions=None,
        contributions_by_step=None,
        reason=reason,
        kind=kind,
    )


class Incidents:
    """Holds back the events of muted groups, and keeps each group's latest incident.

    When the mute ends, an incident that is still open is published, and also the end of an incident that was
    published before the mute. An incident that began and ended during the mute is never published.

    A closed incident is needed only if an operator reports it as a false alarm. Therefore only the store
    keeps closed incidents: in memory, they would permanently take 350 bytes for each group that ever had an
    incident.
    """

    def __init__(self) -> None:
        # Group -> incident, encoded as in the store, which takes 250 bytes. Few incidents are decoded again,
        # and each group may have one.
        self._encoded: dict[str, bytes] = {}
        self._pending_groups: dict[str, None] = {}  # groups whose events are held back
        # `_encoded` contains this, too, but decoding takes 17 µs, and the page queries each open incident
        # once a second: with 2,000 open incidents the pipeline would wait 34 ms.
        self._acknowledged_ids: dict[str, str] = {}  # group -> id of its acknowledged incident
        self.has_loaded_pending = False
        """Whether a group whose events are held back was loaded since the last `take_pending_groups`."""
        self.muted_events: list[AlertEvent] = []
        """First events of incidents that began while their group is muted; the caller empties the list."""
        self.ended: dict[str, bytes] = {}
        """Group -> its last closed incident, encoded for `decode`, until it is saved in the store."""

    def filter_events(self, events: Iterable[AlertEvent], is_muted: IsMuted) -> list[AlertEvent]:
        """Process events in order; return the events to publish now."""
        published = []
        for event in events:
            name = event.group
            if (
                event.repeat
                and name in self._encoded
                and name not in self._pending_groups
                and not is_muted(name)
            ):
                published.append(event)  # the incident is published, and decoding it would take 17 µs
                continue
            previous = self.get(name)
            if previous is not None and name in self._pending_groups and not is_muted(name):
                # The mute has ended, and `release` hasn't come to this group yet.
                is_open = event.status == "firing" and previous.event.id == event.id
                published += self._release_group(previous, is_open=is_open)
            incident = previous if previous is not None and previous.event.id == event.id else Incident(event)
            if previous is not None and incident is not previous:
                incident.pending_resolved = previous.pending_resolved
            before = (incident.published, incident.pending_resolved)
            if event.status == "resolved" and not incident.published:
                continue
            if is_muted(name):
                incident.pending_resolved = event if event.status == "resolved" else incident.pending_resolved
                self._pending_groups[name] = None
                if incident is not previous:
                    self.muted_events.append(event)
            else:
                incident.published = True
                published.append(event)
            if incident is not previous or (incident.published, incident.pending_resolved) != before:
                self.put(incident)
        return published

    def take_pending_groups(self) -> list[str]:
        """Return the groups whose events are held back, for `release`."""
        self.has_loaded_pending = False
        return list(self._pending_groups)

    def release(
        self, groups: Iterable[str], is_muted: IsMuted, open_incident: Callable[[str], str | None]
    ) -> list[AlertEvent]:
        """Return the events that were held back for groups that are no longer muted.

        Parameters
        ----------
        groups : which of the groups to look at.
        is_muted : returns whether a group's alerts are held back.
        open_incident : returns the id of a group's open incident.
        """
        released: list[AlertEvent] = []
        for name in groups:
            if name not in self._pending_groups or is_muted(name):
                continue
            incident = self.get(name)
            if incident is None:
                del self._pending_groups[name]
            else:
                is_open = open_incident(name) == incident.event.id
                released += self._release_group(incident, is_open=is_open)
        return released

    def _release_group(self, incident: Incident, *, is_open: bool) -> list[AlertEvent]:
        """Save the incident of a group that is no longer muted; return the events that were held back."""
        released: list[AlertEvent] = []
        del self._pending_groups[incident.event.group]
        if incident.pending_resolved is not None:
            released.append(incident.pending_resolved)
            incident.pending_resolved = None
        if not incident.published and is_open:
            released.append(incident.event)
            incident.published = True
        self.put(incident)
        return released

    def final_events(
        self, group: str, incident_id: str | None, ended_at: float, kind: str | None, reason: str
    ) -> list[AlertEvent]:
        """Return the events that end what was published of a group's incidents, although it may be muted.

        Parameters
        ----------
        incident_id : id of the group's open incident; None if there is none.
        ended_at, kind, reason : as for `end_early`.
        """
        incident = self.get(group)
        if incident is None:
            return []
        events = [] if incident.pending_resolved is None else [incident.pending_resolved]
        if incident.published and incident.event.id == incident_id:
            events.append(end_early(incident.event, ended_at, kind, reason))
        return events

    def retire(self, groups: Iterable[str], open_incident: Callable[[str], str | None]) -> None:
        """Move closed incidents to `ended`, except incidents whose `resolved` event is held back.

        Parameters
        ----------
        groups : the groups whose incident may have ended, or been published.
        open_incident : as in `release`.
        """
        for name in groups:
            if name not in self._encoded or open_incident(name) is not None:
                continue
            if (
                name in self._pending_groups
                and (incident := self.get(name))
                and incident.pending_resolved is not None
            ):
                continue
            self.ended[name] = self._encoded[name]
            del self._encoded[name]
            self._pending_groups.pop(name, None)
            self._acknowledged_ids.pop(name, None)

    def get(self, group: str) -> Incident | None:
        """Return a copy of a group's latest incident; None if the group had none, or it was retired.

        Raises
        ------
        ValueError : the encoded incident is of another version or damaged.
        """
        value = self._encoded.get(group)
        return None if value is None else self.decode(group, value)

    @staticmethod
    def decode(group: str, value: bytes) -> Incident:
        """Decode an incident of a group.

        Raises
        ------
        ValueError : the value is of another version or damaged.
        """
        try:
            version, event, published, pending_resolved, acknowledged = msgspec.msgpack.decode(
                value, type=_StoredIncident
            )
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"latest incident of {group!r} can't be read: {error}") from error
        if version != _VERSION:
            raise ValueError(f"latest incident of {group!r} is version {version}, expected {_VERSION}")
        for stored in filter(None, (event, pending_resolved)):
            if problem := stored.find_problem(group):
                raise ValueError(f"latest incident of {group!r} {problem}")
        return Incident(
            to_alert_event(event),
            published,
            None if pending_resolved is None else to_alert_event(pending_resolved),
            acknowledged,
        )

    def is_acknowledged(self, incident: str | None, group: str) -> bool:
        """Return whether the incident with this id is acknowledged; None is not. Any thread may call this."""
        return incident is not None and self._acknowledged_ids.get(group) == incident

    def put(self, incident: Incident) -> None:
        """Save an incident that `get` returned and the caller changed, or a new incident."""
        event, pending_resolved = incident.event, incident.pending_resolved
        if incident.published:
            event = replace(event, contributions=None, contributions_by_step=None, reason="")
        stored = (
            _VERSION,
            _event_fields(event),
            incident.published,
            pending_resolved and _event_fields(pending_resolved),
            incident.acknowledged,
        )
        self._encoded[event.group] = msgspec.msgpack.encode(stored)
        if incident.acknowledged:
            self._acknowledged_ids[event.group] = event.id
        else:
            self._acknowledged_ids.pop(event.group, None)

    def dump(self, group: str) -> bytes:
        """Return a group's open or pending incident as bytes for `load`; empty if there is none."""
        return self._encoded.get(group, b"")

    def load(self, group: str, value: bytes) -> None:
        """Set a group's incident from bytes that `dump` returned, here or in another instance.

        Raises
        ------
        ValueError : the value is damaged or of another version.
        """
        self.forget(group)
        if not value:
            return
        self._encoded[group] = value
        try:
            incident = self.get(group)
        except ValueError:
            del self._encoded[group]
            raise
        if incident is not None and incident.acknowledged:
            self._acknowledged_ids[group] = incident.event.id
        if incident is not None and (incident.pending_resolved is not None or not incident.published):
            self._pending_groups[group] = None
            self.has_loaded_pending = True

    def forget(self, group: str) -> None:
        """Remove a group's incident."""
        self._encoded.pop(group, None)
        self._pending_groups.pop(group, None)
        self.ended.pop(group, None)
        self._acknowledged_ids.pop(group, None)
