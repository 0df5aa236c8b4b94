"""The readings that wait to be looked at: columns that are there from the start, filled round and round."""

import numpy as np

from monitor.core.arrays import FloatArray
from monitor.core.readings import Outcome, Readings
from monitor.detect.scoring import Verdicts

__all__ = ["Recent", "Taken"]

_REFUSED = {Outcome.DUPLICATE, Outcome.LATE, Outcome.FUTURE}

Taken = tuple[list[str], FloatArray, FloatArray, FloatArray]
"""Each reading's group, event time in seconds (reading,), values (reading, feature), and the score of the
window that it completed, NaN where it completed none (reading,)."""


class Recent:
    """Holds the newest readings until they are taken; where more come than fit, the oldest give way.

    They are copied, for to keep the batches costs more: where readings come one by one, a thousand batches a
    second are 10 ms of looping and freeing on whichever thread looks at them, and all others wait meanwhile.
    Here it is 4 µs each as they come, or 0.02 in a batch of a thousand.

    Not for two threads at a time.

    Parameters
    ----------
    most : readings that fit, 56 bytes each with four features.
    features : values in a reading.
    """

    def __init__(self, most: int, features: int) -> None:
        self._most = most
        self._added = 0  # since they were taken last
        self._names = [""] * most
        self._ts = np.empty(most)
        self._values = np.empty((most, features))
        self._scores = np.empty(most)

    def add(self, readings: Readings, verdicts: Verdicts) -> None:
        """Take in those readings of a batch that weren't refused."""
        names, ts, values = readings.groups, readings.ts, readings.values
        outcomes, judged = verdicts.windows.outcomes, verdicts.windows.rows
        scores = np.full(len(names), np.nan)
        scores[judged] = verdicts.judged.scores
        if len(judged) < len(names) and not _REFUSED.isdisjoint(outcomes):
            kept = [row for row, outcome in enumerate(outcomes) if outcome not in _REFUSED]
            names, ts, values, scores = [names[row] for row in kept], ts[kept], values[kept], scores[kept]
        begin = 0
        while begin < len(names):  # once, and again at the columns' end
            place = self._added % self._most
            size = min(len(names) - begin, self._most - place)
            here, piece = slice(place, place + size), slice(begin, begin + size)
            self._names[here] = names[piece]
            self._ts[here] = ts[piece]
            self._values[here] = values[piece]
            self._scores[here] = scores[piece]
            self._added += size
            begin += size

    def take(self) -> Taken:
        """Return what came since the last time, in the order of arrival; it isn't held any longer."""
        held = min(self._added, self._most)
        oldest = self._added % self._most if self._added > self._most else 0
        ts, values, scores = (
            np.concatenate([column[oldest:held], column[:oldest]])
            for column in (self._ts, self._values, self._scores)
        )
        names = self._names[oldest:held] + self._names[:oldest]
        self._added = 0
        return names, ts, values, scores
