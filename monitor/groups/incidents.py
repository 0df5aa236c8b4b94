"""Each group's incident: how it began, whether it was told, and what operators said of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from operator import attrgetter

import msgspec

from monitor.core.verdicts import AlertEvent

__all__ = ["Incidents", "Latest"]

_VERSION = 2

Muted = Callable[[str], bool]
"""Says whether a group's alerts are held back."""

# An event as it is kept: its fields without their names, for there may be one of each group.
_fields = attrgetter(*(field.name for field in fields(AlertEvent) if field.compare))
_Steps = list[list[float]]
_Fields = tuple[
    str, str, str, float, float, float | None, list[float], _Steps, bool, int, list[float] | None,
    _Steps | None, str,
]  # fmt: skip
# Version, and what `Latest` has.
_Kept = tuple[int, _Fields, bool, _Fields | None, bool]


@dataclass(slots=True)
class Latest:
    """A group's incident."""

    event: AlertEvent
    """The event that began it; once it was told, without its reasons: nobody asks for them again."""
    told: bool = False
    """Whether that event was let through."""
    owed: AlertEvent | None = None
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
        self._latest: dict[str, bytes] = {}
        self._held: dict[str, None] = {}  # groups with something held back
        # In `_latest` too, but that takes 17 µs to read, and the page asks of each open one once a second:
        # with 2,000 of them the pipeline would wait 34 ms for it.
        self._acknowledged: dict[str, str] = {}  # group -> incident
        self.recalled = False
        """Whether a group with something held back came in since the last `release`."""
        self.past: dict[str, bytes] = {}
        """Group -> its last incident that is over, until who stores the group takes it out; for `read`."""

    def pass_on(self, events: Iterable[AlertEvent], muted: Muted) -> list[AlertEvent]:
        """Take events in their order; return those that are to be told now."""
        told = []
        for event in events:
            name = event.group
            if event.repeat and name in self._latest and name not in self._held and not muted(name):
                told.append(event)  # of an incident that was told; to read what is kept of it takes 17 µs
                continue
            known = self.latest(name)
            latest = known if known is not None and known.event.id == event.id else Latest(event)
            if known is not None and latest is not known:
                latest.owed = known.owed
            before = (latest.told, latest.owed)
            if event.status == "resolved" and not latest.told:
                continue
            if muted(name):
                latest.owed = event if event.status == "resolved" else latest.owed
                self._held[name] = None
            else:
                latest.told = True
                told.append(event)
            if latest is not known or (latest.told, latest.owed) != before:
                self.keep(latest)
        return told

    def release(self, muted: Muted, open_incident: Callable[[str], str | None]) -> list[AlertEvent]:
        """Return what was held back of groups that are no longer muted.

        Parameters
        ----------
        muted : says it of a group.
        open_incident : returns the id of a group's open incident.
        """
        self.recalled = False
        told: list[AlertEvent] = []
        for name in [name for name in self._held if not muted(name)]:
            del self._held[name]
            latest = self.latest(name)
            if latest is None:
                continue
            if latest.owed is not None:
                told.append(latest.owed)
                latest.owed = None
            if not latest.told and open_incident(name) == latest.event.id:
                told.append(latest.event)
                latest.told = True
            self.keep(latest)
        return told

    def settle(self, groups: Iterable[str], open_incident: Callable[[str], str | None]) -> None:
        """Make what is over `past`: nothing of the group is open, and no end is owed.

        Parameters
        ----------
        groups : those of which something may have ended or been told.
        open_incident : as for `release`.
        """
        for name in groups:
            if name not in self._latest or open_incident(name) is not None:
                continue
            if name in self._held and (latest := self.latest(name)) and latest.owed is not None:
                continue
            self.past[name] = self._latest[name]
            del self._latest[name]
            self._held.pop(name, None)
            self._acknowledged.pop(name, None)

    def latest(self, group: str) -> Latest | None:
        """Return a group's latest incident, as a copy; None if there was none, or it is over.

        Raises
        ------
        ValueError : what is kept is of another version or damaged.
        """
        value = self._latest.get(group)
        return None if value is None else self.read(group, value)

    @staticmethod
    def read(group: str, value: bytes) -> Latest:
        """Return the incident of a group that a value holds.

        Raises
        ------
        ValueError : the value is of another version or damaged.
        """
        try:
            version, event, told, owed, acknowledged = msgspec.msgpack.decode(value, type=_Kept)
        except msgspec.DecodeError as error:
            raise ValueError(f"latest incident of {group!r} can't be read: {error}") from error
        if version != _VERSION:
            raise ValueError(f"latest incident of {group!r} is version {version}, expected {_VERSION}")
        return Latest(AlertEvent(*event), told, AlertEvent(*owed) if owed else None, acknowledged)

    def acknowledged(self, incident: str | None, group: str) -> bool:
        """Say whether somebody takes care of this incident of a group, if it is one; any thread may ask."""
        return incident is not None and self._acknowledged.get(group) == incident

    def keep(self, latest: Latest) -> None:
        """Put back what `latest` returned, changed."""
        event, owed = latest.event, latest.owed
        if latest.told:
            event = replace(event, contributions=None, contributions_by_step=None, reason="")
        kept = (_VERSION, _fields(event), latest.told, owed and _fields(owed), latest.acknowledged)
        self._latest[event.group] = msgspec.msgpack.encode(kept)
        if latest.acknowledged:
            self._acknowledged[event.group] = event.id
        else:
            self._acknowledged.pop(event.group, None)

    def dump(self, group: str) -> bytes:
        """Return what is kept for a group as a value that `load` takes; nothing where it is over."""
        return self._latest.get(group, b"")

    def load(self, group: str, value: bytes) -> None:
        """Put back what `dump` returned, here or in another instance.

        Raises
        ------
        ValueError : the value is of another version or none at all.
        """
        self.forget(group)
        if not value:
            return
        self._latest[group] = value
        try:
            latest = self.latest(group)
        except ValueError:
            del self._latest[group]
            raise
        if latest is not None and latest.acknowledged:
            self._acknowledged[group] = latest.event.id
        if latest is not None and (latest.owed is not None or not latest.told):
            self._held[group] = None
            self.recalled = True

    def forget(self, group: str) -> None:
        """Drop a group."""
        self._latest.pop(group, None)
        self._held.pop(group, None)
        self.past.pop(group, None)
        self._acknowledged.pop(group, None)
