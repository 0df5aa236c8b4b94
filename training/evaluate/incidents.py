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

from monitor.core.verdicts import AlertEvent, Judgements
from monitor.detect.alerts import AlertStage
from training.data.dataset import Dataset

__all__ = ["Episode", "Incidents", "measure"]

_DAY_S = 86400.0
_UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class Episode:
    """One fault from its first reading to its last."""

    kind: str
    onset: float
    """Event time of its first reading, seconds since the Unix epoch."""
    readings: int
    found: bool
    delay: int | None
    """Readings from the first one to the first alert, 0 where that one raised it; None without an alert of
    its own."""


@dataclass(frozen=True, slots=True)
class Incidents:
    """What the alerts were worth."""

    episodes: tuple[Episode, ...]
    alerts: int
    """Incidents that were opened."""
    false_alarms: int
    """Of these, begun on a window in which nothing was faulty."""
    group_days: float
    """Judged time, summed over the groups."""
    alert_share: float | None
    """Share of the Normal windows during which an incident was open; None without a Normal window."""

    @property
    def found(self) -> int:
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

    def delay(self, share: float) -> int | None:
        """Return the delay, in readings, that this share of the delays doesn't exceed; None without any."""
        delays = self.delays
        return delays[max(int(np.ceil(share * len(delays))), 1) - 1] if delays else None

    def by_kind(self) -> dict[str, tuple[int, int]]:
        """Return kind -> episodes found, episodes."""
        kinds = sorted({episode.kind for episode in self.episodes})
        return {kind: self._count(kind) for kind in kinds}

    def as_dict(self) -> dict[str, object]:
        """Return the same as plain values."""
        return {
            "episodes": len(self.episodes),
            "found": self.found,
            "found_by_kind": {kind: {"found": f, "episodes": n} for kind, (f, n) in self.by_kind().items()},
            "delay_readings": {"median": self.delay(0.5), "p95": self.delay(0.95)},
            "alerts": self.alerts,
            "false_alarms": self.false_alarms,
            "false_alarms_a_day_and_group": self.false_alarms_a_day,
            "group_days": self.group_days,
            "normal_windows_under_alert": self.alert_share,
        }

    def __str__(self) -> str:
        """Say it in lines for a terminal."""
        own = len(self.delays)
        delay = (
            f"{self.delay(0.5)} readings to the first alert (median), {self.delay(0.95)} (95 %), "
            f"of the {own:,} with an alert of their own"
        )
        return (
            f"faults     {self.found:,} of {len(self.episodes):,} found\n"
            f"delay      {delay if own else 'none, for no fault had an alert of its own'}\n"
            f"alerts     {self.alerts:,}, {self.false_alarms:,} of them false: "
            f"{self.false_alarms_a_day:.2f} a day and group ({self.group_days:.3f} group-days)"
        )

    def _count(self, kind: str) -> tuple[int, int]:
        found = [episode.found for episode in self.episodes if episode.kind == kind]
        return sum(found), len(found)


def measure(data: Dataset, called_faulty: NDArray[np.bool_], period: float) -> Incidents:
    """Run what was said of each window (window,) through the monitor's alert rules.

    Parameters
    ----------
    data : at least one window, in any order.
    period : seconds between two readings of a group.
    """
    order = np.lexsort((data.ts[:, -1], data.stretches))  # each group in one piece, by time
    data = Dataset(*(getattr(data, field.name)[order] for field in fields(data)))
    called = called_faulty[order]
    events = AlertStage().update(_judged(data, called))
    spans = _spans(data, events)
    open_now = np.zeros(len(data), dtype=bool)  # (window,)
    for _, first, end in spans:
        open_now[first:end] = True
    normal = ~data.faulty
    return Incidents(
        episodes=tuple(_episodes(data, called & open_now, open_now)),
        alerts=len(spans),
        false_alarms=sum(bool(normal[began]) for began, _, _ in spans),
        group_days=len(data) * period / _DAY_S,
        alert_share=float(open_now[normal].mean()) if normal.any() else None,
    )


def _judged(data: Dataset, called: NDArray[np.bool_]) -> Judgements:
    return Judgements(
        groups=[str(stretch) for stretch in data.stretches],
        ts=data.ts,
        values=data.windows,
        scores=called.astype(float),
        faulty=called,
        out_of_range=np.zeros(len(data), dtype=bool),
    )


def _spans(data: Dataset, events: Sequence[AlertEvent]) -> list[tuple[int, int, int]]:
    """Return each incident's first Faulty window, the window it opened on, and the one after its last."""
    ends = data.ts[:, -1]
    rows_of = {
        str(stretch): np.flatnonzero(data.stretches == stretch) for stretch in np.unique(data.stretches)
    }
    spans: dict[str, tuple[int, int, int]] = {}
    for event in events:
        rows = rows_of[event.group]
        now = int(rows[np.searchsorted(ends[rows], event.window_ts[-1])])
        if event.status == "firing":
            began = int(rows[np.searchsorted(ends[rows], event.started_at)])
            spans[event.id] = (began, now, int(rows[-1]) + 1)
        else:
            began, opened, _ = spans[event.id]
            spans[event.id] = (began, opened, now)
    return list(spans.values())


def _episodes(data: Dataset, alarmed: NDArray[np.bool_], open_now: NDArray[np.bool_]) -> list[Episode]:
    """Return the episodes, each with what was `alarmed` (called Faulty with an incident open): (window,)."""
    kinds = _kinds(data)
    edges = (kinds[1:] != kinds[:-1]) | (data.stretches[1:] != data.stretches[:-1])
    firsts = [0, *(np.flatnonzero(edges) + 1).tolist()]
    ends = [*firsts[1:], len(data)]
    episodes = []
    for first, end, beyond in zip(firsts, ends, [*ends[1:], len(data)], strict=True):
        if not kinds[first]:
            continue
        # The windows after the last faulty reading that still hold it count as well, until the next fault's.
        limit = beyond if end < len(data) and not kinds[end] else end
        rows = np.append(np.arange(first, end), _still_faulty(data, end, limit))
        hits = np.flatnonzero(alarmed[rows])
        before = first > 0 and data.stretches[first - 1] == data.stretches[first] and open_now[first - 1]
        delay = int(hits[0]) if len(hits) and not before else None
        onset = float(data.ts[first, -1])
        episodes.append(Episode(str(kinds[first]), onset, end - first, len(hits) > 0, delay))
    return episodes


def _still_faulty(data: Dataset, begin: int, limit: int) -> NDArray[np.intp]:
    """Return the Faulty windows that follow without a Normal one in between, in the same group."""
    same = data.faulty[begin:limit] & (data.stretches[begin:limit] == data.stretches[begin - 1])
    run = int(np.argmin(same)) if not same.all() else len(same)
    return np.arange(begin, begin + run)


def _kinds(data: Dataset) -> NDArray[np.str_]:
    """Return the kind of the last reading; without any kinds in a group, `unnamed` for a Faulty window."""
    kinds = data.kinds.astype(object)
    for stretch in np.unique(data.stretches):
        rows = data.stretches == stretch
        if not (kinds[rows] != "").any():
            kinds[rows] = np.where(data.faulty[rows], _UNNAMED, "")
    return kinds.astype(str)
