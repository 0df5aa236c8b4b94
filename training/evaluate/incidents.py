"""Faults as a plant sees them: found or not, how late, and how often an alert comes for nothing.

The windows come from the monitor's `WindowStage` (see `dataset`), the alerts from its `AlertStage` with its
default rules. What is called what:

- an episode is a run of readings with one kind of fault; where a recording names no kinds, a run of windows
  that are Faulty;
- it is found when a window with one of its readings is called Faulty while an incident is open;
- its delay is the number of readings after its first one until the incident opened. Where an incident was
  open already, from a fault shortly before or from a false alarm, there is no alert of its own and no delay;
- a false alarm is an incident that began on a window in which nothing was faulty.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from monitor.core.verdicts import AlertEvent, JudgedWindows
from monitor.detect.alerts import AlertStage
from training.data.dataset import Dataset

__all__ = ["EpisodeOutcome", "IncidentMetrics", "measure"]

_DAY_S = 86400.0
_UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class EpisodeOutcome:
    """One fault from its first reading to its last."""

    kind: str
    onset_ts: float
    """Event time of its first reading, seconds since the Unix epoch."""
    reading_count: int
    found: bool
    delay: int | None
    """Readings from the first one to the first alert, 0 where that one raised it; None without an alert of
    its own."""


@dataclass(frozen=True, slots=True)
class IncidentMetrics:
    """What the alerts were worth."""

    episodes: tuple[EpisodeOutcome, ...]
    alerts: int
    """Incidents that were opened."""
    false_alarms: int
    """Of these, begun on a window in which nothing was faulty."""
    group_days: float
    """Judged time, summed over the groups."""
    alert_share: float | None
    """Share of the Normal windows during which an incident was open; None without a Normal window."""

    @property
    def found_count(self) -> int:
        """Episodes that were found."""
        return sum(episode.found for episode in self.episodes)

    @property
    def false_alarms_a_day(self) -> float:
        """False alarms a day and group."""
        return self.false_alarms / self.group_days

    @property
    def delays(self) -> list[int]:
        """Delays of the episodes that have one, in readings, shortest first."""
        return sorted(episode.delay for episode in self.episodes if episode.delay is not None)

    def delay_quantile(self, share: float) -> int | None:
        """Return the delay, in readings, that this share of the delays doesn't exceed; None without any."""
        delays = self.delays
        return delays[max(int(np.ceil(share * len(delays))), 1) - 1] if delays else None

    def found_by_kind(self) -> dict[str, tuple[int, int]]:
        """Return kind -> episodes found, episodes."""
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
        """Say it in lines for a terminal."""
        delay_count = len(self.delays)
        delay = (
            f"{self.delay_quantile(0.5)} readings to the first alert (median), {self.delay_quantile(0.95)} (95 %), "
            f"of the {delay_count:,} with an alert of their own"
        )
        return (
            f"faults     {self.found_count:,} of {len(self.episodes):,} found\n"
            f"delay      {delay if delay_count else 'none, for no fault had an alert of its own'}\n"
            f"alerts     {self.alerts:,}, {self.false_alarms:,} of them false: "
            f"{self.false_alarms_a_day:.2f} a day and group ({self.group_days:.3f} group-days)"
        )

    def _count_found(self, kind: str) -> tuple[int, int]:
        found = [episode.found for episode in self.episodes if episode.kind == kind]
        return sum(found), len(found)


def measure(data: Dataset, called_faulty: NDArray[np.bool_], sample_period: float) -> IncidentMetrics:
    """Run what was said of each window (window,) through the monitor's alert rules.

    Parameters
    ----------
    data : at least one window, in any order.
    sample_period : seconds between two readings of a group.
    """
    order = np.lexsort((data.ts[:, -1], data.series_ids))  # each group in one piece, by time
    data = Dataset(*(getattr(data, field.name)[order] for field in fields(data)))
    called_in_order = called_faulty[order]
    events = AlertStage().update(_to_judgements(data, called_in_order))
    spans = _incident_spans(data, events)
    incident_open = np.zeros(len(data), dtype=bool)  # (window,)
    for _, first, end in spans:
        incident_open[first:end] = True
    normal = ~data.faulty
    return IncidentMetrics(
        episodes=tuple(_find_episodes(data, called_in_order & incident_open, incident_open)),
        alerts=len(spans),
        false_alarms=sum(bool(normal[first_row]) for first_row, _, _ in spans),
        group_days=len(data) * sample_period / _DAY_S,
        alert_share=float(incident_open[normal].mean()) if normal.any() else None,
    )


def _to_judgements(data: Dataset, called: NDArray[np.bool_]) -> JudgedWindows:
    return JudgedWindows(
        groups=[str(series_id) for series_id in data.series_ids],
        ts=data.ts,
        values=data.windows,
        scores=called.astype(float),
        faulty=called,
        out_of_range=np.zeros(len(data), dtype=bool),
    )


def _incident_spans(data: Dataset, events: Sequence[AlertEvent]) -> list[tuple[int, int, int]]:
    """Return each incident's first Faulty window, the window it opened on, and the one after its last."""
    ends = data.ts[:, -1]
    rows_by_series = {
        str(series_id): np.flatnonzero(data.series_ids == series_id)
        for series_id in np.unique(data.series_ids)
    }
    spans: dict[str, tuple[int, int, int]] = {}
    for event in events:
        rows = rows_by_series[event.group]
        event_row = int(rows[np.searchsorted(ends[rows], event.window_ts[-1])])
        if event.status == "firing":
            first_row = int(rows[np.searchsorted(ends[rows], event.started_at)])
            spans[event.id] = (first_row, event_row, int(rows[-1]) + 1)
        else:
            first_row, opened_row, _ = spans[event.id]
            spans[event.id] = (first_row, opened_row, event_row)
    return list(spans.values())


def _find_episodes(
    data: Dataset, detected: NDArray[np.bool_], incident_open: NDArray[np.bool_]
) -> list[EpisodeOutcome]:
    """Return the episodes, each with what was `detected` (called Faulty with an incident open): (window,)."""
    kinds = _episode_kinds(data)
    is_boundary = (kinds[1:] != kinds[:-1]) | (data.series_ids[1:] != data.series_ids[:-1])
    firsts = [0, *(np.flatnonzero(is_boundary) + 1).tolist()]
    ends = [*firsts[1:], len(data)]
    episodes = []
    for first, end, next_end in zip(firsts, ends, [*ends[1:], len(data)], strict=True):
        if not kinds[first]:
            continue
        # The windows after the last faulty reading that still hold it count as well, until the next fault's.
        limit = next_end if end < len(data) and not kinds[end] else end
        rows = np.append(np.arange(first, end), _trailing_faulty_rows(data, end, limit))
        hits = np.flatnonzero(detected[rows])
        was_open = (
            first > 0 and data.series_ids[first - 1] == data.series_ids[first] and incident_open[first - 1]
        )
        delay = int(hits[0]) if len(hits) and not was_open else None
        onset = float(data.ts[first, -1])
        episodes.append(EpisodeOutcome(str(kinds[first]), onset, end - first, len(hits) > 0, delay))
    return episodes


def _trailing_faulty_rows(data: Dataset, begin: int, limit: int) -> NDArray[np.intp]:
    """Return the Faulty windows that follow without a Normal one in between, in the same group."""
    is_trailing = data.faulty[begin:limit] & (data.series_ids[begin:limit] == data.series_ids[begin - 1])
    run_length = int(np.argmin(is_trailing)) if not is_trailing.all() else len(is_trailing)
    return np.arange(begin, begin + run_length)


def _episode_kinds(data: Dataset) -> NDArray[np.str_]:
    """Return the kind of the last reading; without any kinds in a group, `unnamed` for a Faulty window."""
    kinds = data.kinds.astype(object)
    for series_id in np.unique(data.series_ids):
        rows = data.series_ids == series_id
        if not (kinds[rows] != "").any():
            kinds[rows] = np.where(data.faulty[rows], _UNNAMED, "")
    return kinds.astype(str)
