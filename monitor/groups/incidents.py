"""Each group's incident: its first event, whether that was published, and whether it is acknowledged."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from operator import attrgetter

import msgspec

from monitor.core.verdicts import AlertEvent

__all__ = ["Incident", "Incidents", "IsMuted"]

_VERSION = 2

IsMuted = Callable[[str], bool]
"""Returns whether a group's alerts are held back."""

# An event as it is stored: its fields without their names, because there may be one of each group.
_event_fields = attrgetter(*(field.name for field in fields(AlertEvent) if field.compare))
_StepValues = list[list[float]]
_EventFields = tuple[
    str, str, str, float, float, float | None, list[float], _StepValues, bool, int, list[float] | None,
    _StepValues | None, str,
]  # fmt: skip
# Version, and the fields of `Incident`.
_StoredIncident = tuple[int, _EventFields, bool, _EventFields | None, bool]


@dataclass(slots=True)
class Incident:
    """A group's incident."""

    event: AlertEvent
    """Its first event; contributions and reason are dropped once it is published: they are not used again."""
    published: bool = False
    """Whether that event was published."""
    pending_resolved: AlertEvent | None = None
    """A `resolved` event that is held back: of this incident, or of an earlier one that was published."""
    acknowledged: bool = False
    """Whether an operator acknowledged it."""


class Incidents:
    """Holds back the events of muted groups, and keeps each group's latest incident.

    When the mute ends, an incident that is still open is published then, and so is the end of one that was
    published before; an incident that began and ended in the meantime is never published.

    An incident that has ended is needed only if an operator calls it a false alarm. So only the store keeps
    it: in memory each group that ever had one would cost 350 bytes, for ever.
    """

    def __init__(self) -> None:
        # Encoded as in the store, 250 bytes each: few are read twice, and there may be as many as groups.
        self._encoded: dict[str, bytes] = {}
        self._pending_groups: dict[str, None] = {}  # groups with an event that is held back
        # In `_encoded` too, but decoding that takes 17 µs, and the page asks for each open incident once a
        # second: with 2,000 of them the pipeline would wait 34 ms for it.
        self._acknowledged_ids: dict[str, str] = {}  # group -> incident
        self.has_loaded_pending = False
        """Whether a group with an event that is held back was loaded since the last `release`."""
        self.ended: dict[str, bytes] = {}
        """Group -> its last ended incident, encoded for `decode`, until the store has it."""

    def filter_events(self, events: Iterable[AlertEvent], is_muted: IsMuted) -> list[AlertEvent]:
        """Process events in their order; return those that are to be published now."""
        published = []
        for event in events:
            name = event.group
            if (
                event.repeat
                and name in self._encoded
                and name not in self._pending_groups
                and not is_muted(name)
            ):
                published.append(event)  # its incident is published, and decoding that would take 17 µs
                continue
            previous = self.get(name)
            incident = previous if previous is not None and previous.event.id == event.id else Incident(event)
            if previous is not None and incident is not previous:
                incident.pending_resolved = previous.pending_resolved
            before = (incident.published, incident.pending_resolved)
            if event.status == "resolved" and not incident.published:
                continue
            if is_muted(name):
                incident.pending_resolved = event if event.status == "resolved" else incident.pending_resolved
                self._pending_groups[name] = None
            else:
                incident.published = True
                published.append(event)
            if incident is not previous or (incident.published, incident.pending_resolved) != before:
                self.put(incident)
        return published

    def release(self, is_muted: IsMuted, open_incident: Callable[[str], str | None]) -> list[AlertEvent]:
        """Return the events that were held back of groups that are no longer muted.

        Parameters
        ----------
        is_muted : returns whether a group's alerts are held back.
        open_incident : returns the id of a group's open incident.
        """
        self.has_loaded_pending = False
        released: list[AlertEvent] = []
        for name in [name for name in self._pending_groups if not is_muted(name)]:
            del self._pending_groups[name]
            incident = self.get(name)
            if incident is None:
                continue
            if incident.pending_resolved is not None:
                released.append(incident.pending_resolved)
                incident.pending_resolved = None
            if not incident.published and open_incident(name) == incident.event.id:
                released.append(incident.event)
                incident.published = True
            self.put(incident)
        return released

    def retire(self, groups: Iterable[str], open_incident: Callable[[str], str | None]) -> None:
        """Move ended incidents to `ended`, except those whose `resolved` event is held back.

        Parameters
        ----------
        groups : those whose incident may have ended, or been published.
        open_incident : as for `release`.
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
        """Return a copy of a group's latest incident; None if there was none, or it has ended.

        Raises
        ------
        ValueError : the encoded incident is of another version or damaged.
        """
        value = self._encoded.get(group)
        return None if value is None else self.decode(group, value)

    @staticmethod
    def decode(group: str, value: bytes) -> Incident:
        """Return an incident of a group from its encoded value.

        Raises
        ------
        ValueError : the value is of another version or damaged.
        """
        try:
            version, event, published, pending_resolved, acknowledged = msgspec.msgpack.decode(
                value, type=_StoredIncident
            )
        except msgspec.DecodeError as error:
            raise ValueError(f"latest incident of {group!r} can't be read: {error}") from error
        if version != _VERSION:
            raise ValueError(f"latest incident of {group!r} is version {version}, expected {_VERSION}")
        return Incident(
            AlertEvent(*event),
            published,
            AlertEvent(*pending_resolved) if pending_resolved else None,
            acknowledged,
        )

    def is_acknowledged(self, incident: str | None, group: str) -> bool:
        """Say whether this incident of a group is acknowledged, if it is one; any thread may ask."""
        return incident is not None and self._acknowledged_ids.get(group) == incident

    def put(self, incident: Incident) -> None:
        """Keep what `get` returned, with changes."""
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
        """Return a group's open or pending incident as a value that `load` takes; empty if there is none."""
        return self._encoded.get(group, b"")

    def load(self, group: str, value: bytes) -> None:
        """Restore what `dump` returned, here or in another instance.

        Raises
        ------
        ValueError : the value is of another version or none at all.
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
        """Drop a group's incident."""
        self._encoded.pop(group, None)
        self._pending_groups.pop(group, None)
        self.ended.pop(group, None)
        self._acknowledged_ids.pop(group, None)
