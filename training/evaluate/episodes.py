"""Which faults of a recording were found, and after how many readings.

An episode is a run of readings with one kind of fault; where a recording names no kinds, a run of windows
that are Faulty. It is found when a window with one of its readings is called Faulty while an incident is
open. Its delay is the number of readings from its first one until the incident opened.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Dataset

__all__ = ["EpisodeOutcome", "find_episodes"]

_UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class EpisodeOutcome:
    """One fault from its first reading to its last, and whether it was found."""

    kind: str
    onset_ts: float
    """Event time of its first reading, seconds since the Unix epoch."""
    reading_count: int
    found: bool
    delay: int | None
    """Readings from the first one to the first alert, 0 where the first one raised it. None where the fault
    raised no alert: it was missed, or an incident was already open when it began, from a fault shortly before
    or from a false alarm."""


def find_episodes(
    data: Dataset, called_faulty: NDArray[np.bool_], incident_open: NDArray[np.bool_]
) -> list[EpisodeOutcome]:
    """Return the outcome of each episode.

    Parameters
    ----------
    data : windows sorted by group, then by time.
    called_faulty : the prediction of each window (window,).
    incident_open : whether an incident of its group is open at each window (window,).
    """
    kinds = _episode_kinds(data)
    detected = called_faulty & incident_open
    is_boundary = (kinds[1:] != kinds[:-1]) | (data.series_ids[1:] != data.series_ids[:-1])
    firsts = [0, *(np.flatnonzero(is_boundary) + 1).tolist()]
    ends = [*firsts[1:], len(data)]
    episodes = []
    for first, end, next_end in zip(firsts, ends, [*ends[1:], len(data)], strict=True):
        if not kinds[first]:
            continue
        # The windows after the last faulty reading that still hold it count too, until the next fault's
        # windows.
        limit = next_end if end < len(data) and not kinds[end] else end
        rows = np.append(np.arange(first, end), _trailing_faulty_rows(data, end, limit))
        hits = np.flatnonzero(detected[rows])
        was_open = (
            first > 0 and data.series_ids[first - 1] == data.series_ids[first] and incident_open[first - 1]
        )
        delay = int(hits[0]) if len(hits) and not was_open else None
        onset_ts = float(data.ts[first, -1])
        episodes.append(EpisodeOutcome(str(kinds[first]), onset_ts, end - first, len(hits) > 0, delay))
    return episodes


def _trailing_faulty_rows(data: Dataset, begin: int, limit: int) -> NDArray[np.intp]:
    """Return the Faulty windows that follow without a Normal one in between, in the same group."""
    is_trailing = data.faulty[begin:limit] & (data.series_ids[begin:limit] == data.series_ids[begin - 1])
    run_length = int(np.argmin(is_trailing)) if not is_trailing.all() else len(is_trailing)
    return np.arange(begin, begin + run_length)


def _episode_kinds(data: Dataset) -> NDArray[np.str_]:
    """Return the kind of fault of each window's last reading, "" for none: (window,).

    In a group whose recording names no kinds, it is `unnamed` for every Faulty window.
    """
    kinds = data.kinds.astype(object)
    for series_id in np.unique(data.series_ids):
        rows = data.series_ids == series_id
        if not (kinds[rows] != "").any():
            kinds[rows] = np.where(data.faulty[rows], _UNNAMED, "")
    return kinds.astype(str)
