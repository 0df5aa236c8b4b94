"""The incidents that alert events tell of, and how two such accounts of the same plant differ."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from monitor.core.verdicts import AlertEvent

__all__ = ["Change", "IncidentHistory", "IncidentSpan", "compare"]


@dataclass(slots=True)
class IncidentSpan:
    """From its first Faulty window to its end. All are event times, seconds since the Unix epoch."""

    started_at: float
    ended_at: float
    """Infinite while it is open."""
    published_at: float
    """When it was first published."""


class IncidentHistory:
    """Collects incidents by group.

    Parameters
    ----------
    every_window : the events are those of that mode, in which no event tells of an end: then an incident
        lasts until its last Faulty window.
    """

    def __init__(self, *, every_window: bool = False) -> None:
        self._every_window = every_window
        self._by_id: dict[str, IncidentSpan] = {}
        self.by_group: dict[str, list[IncidentSpan]] = {}
        """In the order in which they were published."""
        self.firing_counts = Counter[str]()
        """Firing events of each group, repeated ones too."""

    def add(self, events: Iterable[AlertEvent]) -> None:
        """Take alert events in their order."""
        for event in events:
            ts = event.window_ts[-1]
            if event.ended_at is not None:
                self._by_id[event.id].ended_at = event.ended_at
                continue
            self.firing_counts[event.group] += 1
            if event.is_first:
                incident = self._by_id[event.id] = IncidentSpan(event.started_at, math.inf, ts)
                self.by_group.setdefault(event.group, []).append(incident)
            if self._every_window:
                self._by_id[event.id].ended_at = math.nextafter(ts, math.inf)


@dataclass(frozen=True, slots=True)
class Change:
    """Incidents of one group that overlap in time: so many before stand for so many after."""

    before: tuple[IncidentSpan, ...]
    after: tuple[IncidentSpan, ...]

    @property
    def delay(self) -> float | None:
        """How much later the first of them is published, in seconds; None where there is none to compare."""
        return (
            self.after[0].published_at - self.before[0].published_at if self.before and self.after else None
        )

    @property
    def started_at(self) -> float:
        """Event time at which the first of them began."""
        return min(incident.started_at for incident in (*self.before, *self.after))


def compare(before: Iterable[IncidentSpan], after: Iterable[IncidentSpan]) -> list[Change]:
    """Match two accounts of one group; incidents of the same account don't overlap."""
    tagged = [(one, False) for one in before] + [(one, True) for one in after]
    tagged.sort(key=lambda mark: mark[0].started_at)
    changes: list[tuple[list[IncidentSpan], list[IncidentSpan]]] = []
    end = -math.inf
    for incident, is_after in tagged:
        if incident.started_at >= end:
            changes.append(([], []))
        changes[-1][is_after].append(incident)
        end = max(end, incident.ended_at)
    return [Change(tuple(old), tuple(new)) for old, new in changes]
