"""Compares the alerts that the demo received with the faults that the recording's labels mark."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from monitor.recordings.reader import RecordingRow

__all__ = ["Fault", "ReportedIncident", "ScoreCard", "collect_incidents", "find_faults", "score_incidents"]


@dataclass(slots=True)
class Fault:
    """An uninterrupted run of faulty readings of one group."""

    group: str
    started_at: float
    """Event time of its first reading, seconds since the Unix epoch."""
    ended_at: float
    """Event time of the last reading whose window contains a faulty reading, seconds since the Unix epoch."""


@dataclass(slots=True)
class ReportedIncident:
    """An incident that the monitor published."""

    group: str
    started_at: float
    """Event time, seconds since the Unix epoch."""
    ended_at: float
    """Event time, seconds since the Unix epoch; infinite while the incident is open."""


@dataclass(frozen=True, slots=True)
class ScoreCard:
    """Numbers of faults found and missed, and of false alarms."""

    injected: int
    """Number of faults in the recording."""
    found: int
    """Number of faults that an incident overlaps."""
    false_alarms: int
    """Number of incidents that overlap no fault."""
    delay: float | None
    """Median time from a fault's start to the start of its incident, seconds; None if no fault was found."""

    @property
    def missed(self) -> int:
        """Number of faults without an incident."""
        return self.injected - self.found


def find_faults(rows: Iterable[RecordingRow], steps: int) -> list[Fault]:
    """Return the faults that the labels mark.

    Parameters
    ----------
    steps : readings in a window. Faults with fewer healthy readings between them are one fault.
    """
    open_faults: dict[str, Fault] = {}
    healthy_counts: dict[str, int] = {}  # group -> healthy readings since its last faulty reading
    found = []
    for row in rows:
        if row.ts is None:
            continue
        fault = open_faults.get(row.group)
        if row.is_faulty:
            healthy_counts[row.group] = 0
            if fault is None:
                fault = open_faults[row.group] = Fault(row.group, row.ts, row.ts)
                found.append(fault)
            fault.ended_at = row.ts
        elif fault is not None:
            healthy_counts[row.group] += 1
            if healthy_counts[row.group] < steps:
                fault.ended_at = row.ts  # the window of this reading still contains a faulty reading
            else:
                del open_faults[row.group]
    return found


def collect_incidents(events: Iterable[dict[str, Any]]) -> list[ReportedIncident]:
    """Return the incidents that the payloads of alert events describe; events of one id are one incident."""
    by_id: dict[str, ReportedIncident] = {}
    for event in events:
        started_at = datetime.fromisoformat(event["started_at"]).timestamp()
        incident = by_id.setdefault(event["id"], ReportedIncident(event["group"], started_at, float("inf")))
        if event["ended_at"] is not None:
            incident.ended_at = datetime.fromisoformat(event["ended_at"]).timestamp()
    return list(by_id.values())


def score_incidents(faults: Iterable[Fault], incidents: Iterable[ReportedIncident]) -> ScoreCard:
    """Match faults with overlapping incidents of the same group; an incident may match several faults."""
    faults, incidents = list(faults), list(incidents)
    delays = []
    for fault in faults:
        overlap_starts = [incident.started_at for incident in incidents if _overlap(fault, incident)]
        if overlap_starts:
            delays.append(max(0.0, min(overlap_starts) - fault.started_at))
    false_alarms = sum(not any(_overlap(fault, incident) for fault in faults) for incident in incidents)
    return ScoreCard(len(faults), len(delays), false_alarms, median(delays) if delays else None)


def _overlap(fault: Fault, incident: ReportedIncident) -> bool:
    return (
        fault.group == incident.group
        and incident.started_at <= fault.ended_at
        and fault.started_at < incident.ended_at
    )
