"""Replay the monitor's alert rules over predictions: which incidents they open, and what these are worth.

The windows come from the monitor's `WindowStage` (see `training.data.dataset`), the incidents from its
`AlertStage` with default rules. A false alarm is an incident that began on a window without a faulty reading.
`episodes` says when a fault counts as found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.core.verdicts import AlertEvent, JudgedWindows
from monitor.detect.alerts import AlertStage
from training.data.dataset import Dataset
from training.evaluate.episodes import EpisodeOutcome, find_episodes

__all__ = ["IncidentMetrics", "measure"]

_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class IncidentMetrics:
    """Counts of faults found, of alerts and of false alarms."""

    episodes: tuple[EpisodeOutcome, ...]
    alerts: int
    """Number of incidents that were opened."""
    false_alarms: int
    """Number of incidents that began on a window without a faulty reading."""
    group_days: float
    """Judged time in days, summed over the groups."""
    alert_share: float | None
    """Share of the Normal windows at which an incident was open; None without a Normal window."""

    @property
    def found_count(self) -> int:
        """Number of episodes that were found."""
        return sum(episode.found for episode in self.episodes)

    @property
    def false_alarms_a_day(self) -> float:
        """False alarms per day and group."""
        return self.false_alarms / self.group_days

    @property
    def delays(self) -> list[int]:
        """Delays of the episodes that have one, in readings, in ascending order."""
        return sorted(episode.delay for episode in self.episodes if episode.delay is not None)

    def delay_quantile(self, share: float) -> int | None:
        """Return the delay, in readings, that this share of the delays does not exceed; None without any."""
        delays = self.delays
        return delays[max(int(np.ceil(share * len(delays))), 1) - 1] if delays else None

    def found_by_kind(self) -> dict[str, tuple[int, int]]:
        """Return for each kind of fault the number of episodes found and the number of all its episodes."""
        kinds = sorted({episode.kind for episode in self.episodes})
        return {kind: self._count_found(kind) for kind in kinds}

    def as_dict(self) -> dict[str, object]:
        """Return the same as plain values."""
        return {
            "episodes": len(self.episodes),
            "found": self.found_count,
            "found_by_kind": {
                kind: {"found": found, "episodes": total}
                for kind, (found, total) in self.found_by_kind().items()
            },
            "delay_readings": {"median": self.delay_quantile(0.5), "p95": self.delay_quantile(0.95)},
            "alerts": self.alerts,
            "false_alarms": self.false_alarms,
            "false_alarms_a_day_and_group": self.false_alarms_a_day,
            "group_days": self.group_days,
            "normal_windows_under_alert": self.alert_share,
        }

    def __str__(self) -> str:
        """Format as lines for a terminal."""
        count = len(self.delays)
        delay = (
            f"{self.delay_quantile(0.5)} readings to the first alert (median), {self.delay_quantile(0.95)} "
            f"(95 %), of the {count:,} with an alert of their own"
        )
        return (
            f"faults     {self.found_count:,} of {len(self.episodes):,} found\n"
            f"delay      {delay if count else 'none, for no fault had an alert of its own'}\n"
            f"alerts     {self.alerts:,}, {self.false_alarms:,} of them false: "
            f"{self.false_alarms_a_day:.2f} a day and group ({self.group_days:.3f} group-days)"
        )

    def _count_found(self, kind: str) -> tuple[int, int]:
        found = [episode.found for episode in self.episodes if episode.kind == kind]
        return sum(found), len(found)


class _IncidentSpan(NamedTuple):
    """The rows of the windows that an incident covers."""

    first_row: int
    """Its first Faulty window."""
    opened_row: int
    """The window at which it was opened."""
    end_row: int
    """The window at which it was closed, or the row after the group's last window."""


def measure(data: Dataset, called_faulty: NDArray[np.bool_], sample_period: float) -> IncidentMetrics:
    """Apply the monitor's alert rules to the prediction of each window (window,).

    Parameters
    ----------
    data : at least one window, in any order.
    sample_period : seconds between two readings of a group.
    """
    order = np.lexsort((data.ts[:, -1], data.series_ids))  # by group, then by time
    data = data[order]
    called_faulty = called_faulty[order]
    spans = _incident_spans(data, AlertStage().update(_to_judged_windows(data, called_faulty)))
    incident_open = np.zeros(len(data), dtype=bool)  # (window,)
    for span in spans:
        incident_open[span.opened_row : span.end_row] = True
    normal = ~data.faulty
    return IncidentMetrics(
        episodes=tuple(find_episodes(data, called_faulty, incident_open)),
        alerts=len(spans),
        false_alarms=sum(bool(normal[span.first_row]) for span in spans),
        group_days=len(data) * sample_period / _DAY_S,
        alert_share=float(incident_open[normal].mean()) if normal.any() else None,
    )


def _to_judged_windows(data: Dataset, called_faulty: NDArray[np.bool_]) -> JudgedWindows:
    return JudgedWindows(
        groups=[str(series_id) for series_id in data.series_ids],
        ts=data.ts,
        values=data.windows,
        scores=called_faulty.astype(float),
        faulty=called_faulty,
        out_of_range=np.zeros(len(data), dtype=bool),
    )


def _incident_spans(data: Dataset, events: Sequence[AlertEvent]) -> list[_IncidentSpan]:
    """Return the rows that each incident covers in `data`, which is sorted by group, then by time."""
    end_ts = data.ts[:, -1]
    rows_by_series = {
        str(series_id): np.flatnonzero(data.series_ids == series_id)
        for series_id in np.unique(data.series_ids)
    }
    spans: dict[str, _IncidentSpan] = {}
    for event in events:
        rows = rows_by_series[event.group]
        event_row = int(rows[np.searchsorted(end_ts[rows], event.window_ts[-1])])
        if event.status == "firing":
            first_row = int(rows[np.searchsorted(end_ts[rows], event.started_at)])
            spans[event.id] = _IncidentSpan(first_row, event_row, int(rows[-1]) + 1)
        else:
            spans[event.id] = spans[event.id]._replace(end_row=event_row)
    return list(spans.values())
