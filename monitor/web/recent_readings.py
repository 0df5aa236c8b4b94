"""A ring buffer of readings that wait for the HTTP thread, in preallocated columns."""

import numpy as np

from monitor.core.arrays import FloatArray
from monitor.core.readings import Outcome, Readings
from monitor.detect.scoring import ScoredBatch

__all__ = ["ReadingColumns", "RecentReadings"]

_REJECTED_OUTCOMES = {Outcome.DUPLICATE, Outcome.LATE, Outcome.FUTURE, Outcome.RETAINED}

ReadingColumns = tuple[list[str], FloatArray, FloatArray, FloatArray]
"""Of each reading: its group (reading,), event time in seconds (reading,), values (reading, feature), and
score of the window that it completed, NaN if it completed none (reading,)."""


class RecentReadings:
    """Holds the newest readings until they are taken; when it is full, the oldest are overwritten.

    Readings are copied, because keeping the batches costs more: if readings arrive one by one, a thousand
    batches a second take 10 ms of looping and freeing on the thread that takes them, during which all other
    threads wait. A copy takes 4 µs per reading, or 0.02 µs in a batch of a thousand.

    Not thread-safe.

    Parameters
    ----------
    capacity : maximum number of readings, 56 bytes each with four features.
    features : number of values in a reading.
    """

    def __init__(self, capacity: int, features: int) -> None:
        self._capacity = capacity
        self._added_count = 0  # readings since the last `take`, overwritten ones included
        self._names = [""] * capacity
        self._ts = np.empty(capacity)
        self._values = np.empty((capacity, features))
        self._scores = np.empty(capacity)

    def add(self, readings: Readings, scored: ScoredBatch) -> None:
        """Add the readings of a batch, except duplicate, late and future ones."""
        names, ts, values = readings.groups, readings.ts, readings.values
        outcomes, judged = scored.windows.outcomes, scored.windows.reading_indices
        scores = np.full(len(names), np.nan)
        scores[judged] = scored.judged_windows.scores
        if len(judged) < len(names) and not _REJECTED_OUTCOMES.isdisjoint(outcomes):
            accepted_rows = [row for row, outcome in enumerate(outcomes) if outcome not in _REJECTED_OUTCOMES]
            names, ts, values, scores = (
                [names[row] for row in accepted_rows],
                ts[accepted_rows],
                values[accepted_rows],
                scores[accepted_rows],
            )
        begin = 0
        while begin < len(names):  # one slice, and another for each wrap at the end of the buffer
            start = self._added_count % self._capacity
            size = min(len(names) - begin, self._capacity - start)
            ring_slice, batch_slice = slice(start, start + size), slice(begin, begin + size)
            self._names[ring_slice] = names[batch_slice]
            self._ts[ring_slice] = ts[batch_slice]
            self._values[ring_slice] = values[batch_slice]
            self._scores[ring_slice] = scores[batch_slice]
            self._added_count += size
            begin += size

    def take(self) -> ReadingColumns:
        """Return the readings since the last call, in the order of arrival, and empty the buffer."""
        count = min(self._added_count, self._capacity)
        oldest = self._added_count % self._capacity if self._added_count > self._capacity else 0
        ts, values, scores = (
            np.concatenate([column[oldest:count], column[:oldest]])
            for column in (self._ts, self._values, self._scores)
        )
        names = self._names[oldest:count] + self._names[:oldest]
        self._added_count = 0
        return names, ts, values, scores
