"""Applies the monitor's alert rules to predictions, and computes metrics of the resulting incidents.

Two terms: a fault episode is a fault in the labels, an incident is opened by the predictions. Incidents are
opened and closed by the monitor's `AlertStage` with default rules. A series of the dataset is treated as a
group. An incident is false if its first window is Normal. `training.evaluate.episodes` defines when a fault
episode counts as detected.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.core.verdicts import AlertEvent, Detector, JudgedWindows
from monitor.detect.alerts import AlertStage
from training.data.dataset import Dataset
from training.evaluate.episodes import EpisodeOutcome, find_episodes

__all__ = ["IncidentMetrics", "compute_incident_metrics"]

_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class IncidentMetrics:
    """Detection metrics: detected fault episodes, detection delays, incidents and false incidents."""

    episodes: tuple[EpisodeOutcome, ...]
    """All fault episodes of the evaluated windows."""
    incident_count: int
    """Number of incidents."""
    false_incident_count: int
    """Number of incidents that began on a Normal window."""
    group_days: float
    """Total duration of the evaluated windows in days, over all groups."""
    normal_share_under_alert: float | None
    """Share of the Normal windows during which an incident was open; None if there are no Normal windows."""

    @property
    def detected_count(self) -> int:
        """Number of detected episodes."""
        return sum(episode.detected for episode in self.episodes)

    @property
    def false_alarms_per_group_day(self) -> float:
        """False incidents per group and day."""
        return self.false_incident_count / self.group_days

    @property
    def delays(self) -> list[int]:
        """Detection delays in readings, from the start of the episode to its first alert, ascending."""
        return sorted(episode.delay for episode in self.episodes if episode.delay is not None)

    def delay_quantile(self, share: float) -> int | None:
        """Return the given quantile of the detection delays, in readings; None if there are no delays."""
        delays = self.delays
        return delays[max(int(np.ceil(share * len(delays))), 1) - 1] if delays else None

    def detected_by_kind(self) -> dict[str, tuple[int, int]]:
        """Return for each fault kind (detected episodes, all episodes)."""
        kinds = sorted({episode.kind for episode in self.episodes})
        return {kind: self._count_detected(kind) for kind in kinds}

    def as_dict(self) -> dict[str, object]:
        """Return the metrics as a JSON-serialisable dict."""
        return {
            "episodes": len(self.episodes),
            "found": self.detected_count,
            "detected_by_kind": {
                kind: {"found": detected, "episodes": total}
                for kind, (detected, total) in self.detected_by_kind().items()
            },
            "delay_readings": {"median": self.delay_quantile(0.5), "p95": self.delay_quantile(0.95)},
            "alerts": self.incident_count,
            "false_alarms": self.false_incident_count,
            "false_alarms_a_day_and_group": self.false_alarms_per_group_day,
            "group_days": self.group_days,
            "normal_windows_under_alert": self.normal_share_under_alert,
        }

    def __str__(self) -> str:
        """Format the metrics as lines for a terminal."""
        count = len(self.delays)
        delay = (
            f"{self.delay_quantile(0.5)} readings to the first alert (median), {self.delay_quantile(0.95)} "
            f"(95 %), of the {count:,} with an alert of their own"
        )
        return (
            f"faults     {self.detected_count:,} of {len(self.episodes):,} found\n"
            f"delay      {delay if count else 'none, for no fault had an alert of its own'}\n"
            f"alerts     {self.incident_count:,}, {self.false_incident_count:,} of them false: "
            f"{self.false_alarms_per_group_day:.2f} a day and group ({self.group_days:.3f} group-days)"
        )

    def _count_detected(self, kind: str) -> tuple[int, int]:
        detected = [episode.detected for episode in self.episodes if episode.kind == kind]
        return sum(detected), len(detected)


class _IncidentSpan(NamedTuple):
    """An incident as row numbers of windows."""

    first_row: int
    """The first window of the incident, which is predicted Faulty."""
    opened_row: int
    """The window at which the incident was opened."""
    end_row: int
    """The window at which the incident was closed, or the row after the last window of the group."""


def compute_incident_metrics(
    data: Dataset, predicted_faulty: NDArray[np.bool_], sample_period: float
) -> IncidentMetrics:
    """Apply the monitor's alert rules to predictions; compute the metrics of the incidents.

    Parameters
    ----------
    data : at least one window, in any order.
    predicted_faulty : the prediction for each window (window,).
    sample_period : seconds between two readings of a group.
    """
    order = np.lexsort((data.ts[:, -1], data.series_ids))  # by group, then by time
    data = data[order]
    predicted_faulty = predicted_faulty[order]
    spans = _list_incident_spans(data, AlertStage().update(_to_judged_windows(data, predicted_faulty)))
    incident_open = np.zeros(len(data), dtype=bool)  # (window,)
    for span in spans:
        incident_open[span.opened_row : span.end_row] = True
    normal = ~data.faulty
    return IncidentMetrics(
        episodes=tuple(find_episodes(data, predicted_faulty, incident_open)),
        incident_count=len(spans),
        false_incident_count=sum(bool(normal[span.first_row]) for span in spans),
        group_days=len(data) * sample_period / _DAY_S,
        normal_share_under_alert=float(incident_open[normal].mean()) if normal.any() else None,
    )


def _to_judged_windows(data: Dataset, predicted_faulty: NDArray[np.bool_]) -> JudgedWindows:
    return JudgedWindows(
        groups=[str(series_id) for series_id in data.series_ids],
        ts=data.ts,
        values=data.windows,
        scores=predicted_faulty.astype(float),
        faulty=predicted_faulty,
        out_of_range=np.zeros(len(data), dtype=bool),
        detectors=predicted_faulty.astype(np.uint8) * Detector.MODEL,
    )


def _list_incident_spans(data: Dataset, events: Sequence[AlertEvent]) -> list[_IncidentSpan]:
    """Return the row numbers of each incident in `data`, which is sorted by group, then by time."""
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
