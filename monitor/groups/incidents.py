"""Each group's incident: how it began, whether it was told, and what operators said of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from operator import attrgetter

import msgspec

from monitor.core.verdicts import AlertEvent

__all__ = ["Incident", "Incidents", "IsMuted"]

_VERSION = 2

IsMuted = Callable[[str], bool]
"""Says whether a group's alerts are held back."""

# An event as it is kept: its fields without their names, for there may be one of each group.
_event_fields = attrgetter(*(field.name for field in fields(AlertEvent) if field.compare))
_StepValues = list[list[float]]
_EventFields = tuple[
    str, str, str, float, float, float | None, list[float], _StepValues, bool, int, list[float] | None,
    _StepValues | None, str,
]  # fmt: skip
# Version, and what `Incident` has.
_StoredIncident = tuple[int, _EventFields, bool, _EventFields | None, bool]


@dataclass(slots=True)
class Incident:
    """A group's incident."""

    event: AlertEvent
    """The event that began it; once it was told, without its reasons: nobody asks for them again."""
    published: bool = False
    """Whether that event was let through."""
    pending_resolved: AlertEvent | None = None
    """A `resolved` that was held back: of this incident, or of an earlier one that was told."""
    acknowledged: bool = False
    """Whether somebody takes care of it."""


class Incidents:
    """Stands between the alert stage and those who are told.

    Events of muted groups are held back. When that ends, an incident that is still open is told then, and the
    end of one that was told before; one that came and went in the meantime is never told.

    An incident that is over is wanted only where somebody calls it a false alarm. So it is left to the store:
    in memory each group that ever had one would cost 350 bytes, for ever.
    """

    def __init__(self) -> None:
        # As the store has them: few are looked at twice, and there may be as many as groups. 250 bytes each.
        self._encoded: dict[str, bytes] = {}
        self._pending_groups: dict[str, None] = {}  # groups with something held back
        # In `_encoded` too, but that takes 17 µs to read, and the page asks of each open one once a second:
        # with 2,000 of them the pipeline would wait 34 ms for it.
        self._acknowledged_ids: dict[str, str] = {}  # group -> incident
        self.has_loaded_pending = False
        """Whether a group with something held back came in since the last `release`."""
        self.ended: dict[str, bytes] = {}
        """Group -> its last incident that is over, until who stores the group takes it out; for `read`."""

    def filter_events(self, events: Iterable[AlertEvent], is_muted: IsMuted) -> list[AlertEvent]:
        """Take events in their order; return those that are to be told now."""
        published = []
        for event in events:
            name = event.group
            if (
                event.repeat
                and name in self._encoded
                and name not in self._pending_groups
                and not is_muted(name)
            ):
                published.append(
                    event
                )  # of an incident that was told; to read what is kept of it takes 17 µs
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
        """Return what was held back of groups that are no longer muted.

        Parameters
        ----------
        is_muted : says it of a group.
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
        """Make what is over `past`: nothing of the group is open, and no end is owed.

        Parameters
        ----------
        groups : those of which something may have ended or been told.
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
        """Return a group's latest incident, as a copy; None if there was none, or it is over.

        Raises
        ------
        ValueError : what is kept is of another version or damaged.
        """
        value = self._encoded.get(group)
        return None if value is None else self.decode(group, value)

    @staticmethod
    def decode(group: str, value: bytes) -> Incident:
        """Return the incident of a group that a value holds.

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
        """Say whether somebody takes care of this incident of a group, if it is one; any thread may ask."""
        return incident is not None and self._acknowledged_ids.get(group) == incident

    def put(self, incident: Incident) -> None:
        """Put back what `incident` returned, changed."""
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
        """Return what is kept for a group as a value that `load` takes; nothing where it is over."""
        return self._encoded.get(group, b"")

    def load(self, group: str, value: bytes) -> None:
        """Put back what `dump` returned, here or in another instance.

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
        """Drop a group."""
        self._encoded.pop(group, None)
        self._pending_groups.pop(group, None)
        self.ended.pop(group, None)
        self._acknowledged_ids.pop(group, None)
