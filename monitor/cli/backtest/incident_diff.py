"""Compares the incidents that two sets of alert events describe over the same readings."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from monitor.core.verdicts import AlertEvent

__all__ = ["Change", "IncidentHistory", "IncidentSpan", "compare"]


@dataclass(slots=True)
class IncidentSpan:
    """The times of an incident: event times, seconds since the Unix epoch."""

    started_at: float
    """Time of the first Faulty window."""
    ended_at: float
    """Time at which the incident ended; infinite while it is open."""
    published_at: float
    """Time of the last reading in the window of the incident's first event."""


class IncidentHistory:
    """Collects the incidents of each group from alert events.

    Parameters
    ----------
    every_window : whether the events come from mode `every_window`. This mode has no `resolved` events, so an
        incident is assumed to end with its last Faulty window.
    """

    def __init__(self, *, every_window: bool = False) -> None:
        self._every_window = every_window
        self._by_id: dict[str, IncidentSpan] = {}
        self.by_group: dict[str, list[IncidentSpan]] = {}
        """Group -> its incidents, in the order of publication."""
        self.firing_counts = Counter[str]()
        """Group -> number of firing events, repeated ones included."""

    def add(self, events: Iterable[AlertEvent]) -> None:
        """Add alert events, in the order of publication."""
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
    """Overlapping incidents of one group: `before` with the current settings, `after` with the proposed."""

    before: tuple[IncidentSpan, ...]
    after: tuple[IncidentSpan, ...]

    @property
    def delay(self) -> float | None:
        """Seconds by which the first incident of `after` is published later; None if either is empty."""
        if not (self.before and self.after):
            return None
        return self.after[0].published_at - self.before[0].published_at

    @property
    def started_at(self) -> float:
        """Event time at which the earliest of the incidents began."""
        return min(incident.started_at for incident in (*self.before, *self.after))


def compare(before: Iterable[IncidentSpan], after: Iterable[IncidentSpan]) -> list[Change]:
    """Group the incidents of one group that overlap in time.

    Parameters
    ----------
    before, after : the incidents of two histories; incidents of the same history don't overlap.
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
