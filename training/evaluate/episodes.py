"""Determines which fault episodes of a recording were detected, and after how many readings.

A fault episode is a series of consecutive readings with the same fault kind; in a recording without fault
kinds, a series of consecutive Faulty windows. An episode is detected if a window that contains one of its
readings is predicted Faulty while an incident is open. The detection delay is the number of readings from the
first reading of the episode to its first alert.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Dataset

__all__ = ["EpisodeOutcome", "find_episodes"]

# Fault kind of all episodes of a recording without fault kinds.
_UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class EpisodeOutcome:
    """A fault episode, and whether and when it was detected."""

    kind: str
    """The fault kind."""
    onset_ts: float
    """Event time of the first reading, seconds since the Unix epoch."""
    reading_count: int
    """Number of readings in the episode."""
    detected: bool
    delay: int | None
    """Detection delay: number of readings from the first reading of the episode to its first alert, 0 if the
    first reading raised the alert. None if the episode raised no alert: it was missed, or an incident was
    already open when it began (because of an earlier episode or a false alarm)."""


def find_episodes(
    data: Dataset, predicted_faulty: NDArray[np.bool_], incident_open: NDArray[np.bool_]
) -> list[EpisodeOutcome]:
    """Return the outcome of each episode.

    Parameters
    ----------
    data : windows sorted by group, then by time.
    predicted_faulty : the prediction for each window (window,).
    incident_open : whether an incident of the window's group is open, for each window (window,).
    """
    kinds = _list_episode_kinds(data)
    is_detecting = predicted_faulty & incident_open
    is_boundary = (kinds[1:] != kinds[:-1]) | (data.series_ids[1:] != data.series_ids[:-1])
    firsts = [0, *(np.flatnonzero(is_boundary) + 1).tolist()]
    ends = [*firsts[1:], len(data)]
    episodes = []
    for first, end, next_end in zip(firsts, ends, [*ends[1:], len(data)], strict=True):
        if not kinds[first]:
            continue
        # Windows after the last faulty reading that still contain a faulty reading also belong to the
        # episode, up to the first window of the next episode.
        limit = next_end if end < len(data) and not kinds[end] else end
        rows = np.append(np.arange(first, end), _find_trailing_faulty(data, end, limit))
        hits = np.flatnonzero(is_detecting[rows])
        was_open = (
            first > 0 and data.series_ids[first - 1] == data.series_ids[first] and incident_open[first - 1]
        )
        delay = int(hits[0]) if len(hits) and not was_open else None
        onset_ts = float(data.ts[first, -1])
        episodes.append(EpisodeOutcome(str(kinds[first]), onset_ts, end - first, len(hits) > 0, delay))
    return episodes


def _find_trailing_faulty(data: Dataset, begin: int, limit: int) -> NDArray[np.intp]:
    """Return the rows of the consecutive Faulty windows from `begin`, in the same group as the row before."""
    is_trailing = data.faulty[begin:limit] & (data.series_ids[begin:limit] == data.series_ids[begin - 1])
    run_length = int(np.argmin(is_trailing)) if not is_trailing.all() else len(is_trailing)
    return np.arange(begin, begin + run_length)


def _list_episode_kinds(data: Dataset) -> NDArray[np.str_]:
    """Return the fault kind of the last reading of each window, "" for a healthy reading: (window,).

    In a series without fault kinds, the kind is "unnamed" for all Faulty windows.
    """
    kinds = data.kinds.astype(object)
    for series_id in np.unique(data.series_ids):
        rows = data.series_ids == series_id
        if not (kinds[rows] != "").any():
            kinds[rows] = np.where(data.faulty[rows], _UNNAMED, "")
    return kinds.astype(str)
