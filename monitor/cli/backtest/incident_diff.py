"""Compares the incidents that two sets of alert events describe over the same readings."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from monitor.core.verdicts import AlertEvent

__all__ = ["Change", "IncidentHistory", "IncidentSpan", "compare"]


@dataclass(slots=True)
class IncidentSpan:
    """The duration of an incident. All times are event times, seconds since the Unix epoch."""

    started_at: float
    """First Faulty window."""
    ended_at: float
    """Infinite while the incident is open."""
    published_at: float
    """The last window of its first event."""


class IncidentHistory:
    """Collects the incidents of each group from alert events.

    Parameters
    ----------
    every_window : whether the events come from mode `every_window`. They contain no end of an incident, so an
        incident is taken to last until its last Faulty window.
    """

    def __init__(self, *, every_window: bool = False) -> None:
        self._every_window = every_window
        self._by_id: dict[str, IncidentSpan] = {}
        self.by_group: dict[str, list[IncidentSpan]] = {}
        """In the order in which they were published."""
        self.firing_counts = Counter[str]()
        """Group -> number of firing events, repeated ones included."""

    def add(self, events: Iterable[AlertEvent]) -> None:
        """Add alert events, in their order."""
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
                # The smallest time after `ts`, so that an incident of one window has a length.
                self._by_id[event.id].ended_at = math.nextafter(ts, math.inf)


@dataclass(frozen=True, slots=True)
class Change:
    """Incidents of one group that overlap in time: those before and those after, which replace them."""

    before: tuple[IncidentSpan, ...]
    after: tuple[IncidentSpan, ...]

    @property
    def delay(self) -> float | None:
        """Seconds by which the first incident after is published later; None where either side is empty."""
        if not (self.before and self.after):
            return None
        return self.after[0].published_at - self.before[0].published_at

    @property
    def started_at(self) -> float:
        """Event time at which the first of them began."""
        return min(incident.started_at for incident in (*self.before, *self.after))


def compare(before: Iterable[IncidentSpan], after: Iterable[IncidentSpan]) -> list[Change]:
    """Group the incidents of one group that overlap in time.

    Parameters
    ----------
    before, after : the incidents of each history; those of one history don't overlap each other.
    """
    tagged = [(incident, False) for incident in before] + [(incident, True) for incident in after]
    tagged.sort(key=lambda pair: pair[0].started_at)
    changes: list[tuple[list[IncidentSpan], list[IncidentSpan]]] = []
    end = -math.inf  # latest end of the incidents in the last change
    for incident, is_after in tagged:
        if incident.started_at >= end:
            changes.append(([], []))
        changes[-1][is_after].append(incident)
        end = max(end, incident.ended_at)
    return [Change(tuple(old), tuple(new)) for old, new in changes]
