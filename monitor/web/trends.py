"""The last minutes of each group, as a ring of points in arrays with a row for each group."""

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = ["POINTS", "Points", "Trends"]

POINTS = 60
"""Points that are kept of a group."""

Points = tuple[FloatArray, NDArray[np.float32], NDArray[np.float32]]
"""When each began (event time, seconds), its highest score, its values; NaN where there is none."""


class Trends:
    """Keeps a point for every `spacing` seconds of event time: the newest values, the highest score.

    Parameters
    ----------
    rows : groups there is room for.
    features : values in a reading.
    spacing : seconds of event time that a point stands for.
    """

    def __init__(self, rows: int, features: int, spacing: float) -> None:
        self._spacing = spacing
        self._head = np.zeros(rows, dtype=np.intp)
        self._begins = np.full((rows, POINTS), np.nan)
        self._worst = np.full((rows, POINTS), np.nan, dtype=np.float32)
        self._values = np.full((rows, POINTS, features), np.nan, dtype=np.float32)
        self.ts: FloatArray = np.full(rows, np.nan)
        """Event time of each group's newest reading, seconds since the Unix epoch; NaN: none yet. (row,)"""
        self.scores: FloatArray = np.full(rows, np.nan)
        """Of each group's newest judged window: (row,)."""
        self.jumped: NDArray[np.bool_] = np.zeros(rows, dtype=np.bool_)
        """Whether the last `add` gave a group more than one new point: (row,)."""

    def add(self, rows: NDArray[np.intp], ts: FloatArray, values: FloatArray, scores: FloatArray) -> None:
        """Take in readings in the order in which they arrived.

        Parameters
        ----------
        rows : the group of each reading: (reading,).
        ts : event times, seconds since the Unix epoch: (reading,).
        values : (reading, feature).
        scores : P(Faulty) of the window that each completed, NaN where it completed none: (reading,).
        """
        self.jumped[:] = False
        if not len(rows):
            return
        self.ts[rows] = ts  # of those that repeat, the last one stays
        judged = ~np.isnan(scores)
        self.scores[rows[judged]] = scores[judged]

        order = np.argsort(rows, kind="stable")  # by group, and by arrival within it
        rows, begins = rows[order], np.floor(ts[order] / self._spacing) * self._spacing
        starts = np.append(True, (rows[1:] != rows[:-1]) | (begins[1:] != begins[:-1]))
        firsts = np.flatnonzero(starts)  # each point's first reading: (point,)
        lasts = np.append(firsts[1:], len(rows)) - 1
        rows, begins = rows[firsts], begins[firsts]  # (point,)
        worst = np.fmax.reduceat(scores[order], firsts)
        newest = values[order[lasts]]  # (point, feature)

        # A group's first point here may be the one that is under way; each other one is a new one.
        opens = np.flatnonzero(np.append(True, rows[1:] != rows[:-1]))
        sizes = np.diff(np.append(opens, len(rows)))  # points of each group
        goes_on = self._begins[rows[opens], self._head[rows[opens]]] == begins[opens]  # (group,)
        worst[opens[goes_on]] = np.fmax(
            worst[opens[goes_on]], self._worst[rows[opens[goes_on]], self._head[rows[opens[goes_on]]]]
        )
        steps = np.arange(len(rows)) - np.repeat(opens + goes_on - 1, sizes)  # beyond the head: (point,)
        kept = np.repeat(steps[opens + sizes - 1], sizes) - steps < POINTS
        places = (self._head[rows] + steps) % POINTS
        self._head[rows[opens]] = places[opens + sizes - 1]
        self.jumped[rows[opens]] = steps[opens + sizes - 1] > 1
        rows, places = rows[kept], places[kept]
        self._begins[rows, places] = begins[kept]
        self._worst[rows, places] = worst[kept]
        self._values[rows, places] = newest[kept]

    def clear(self, row: int) -> None:
        """Make room for another group."""
        self._head[row] = 0
        for column in (self._begins, self._worst, self._values, self.ts, self.scores):
            column[row] = np.nan

    def newest(self, rows: list[int]) -> Points:
        """Return each group's newest point: (row,), (row,), (row, feature)."""
        head = self._head[rows]
        return self._begins[rows, head], self._worst[rows, head], self._values[rows, head]

    def all(self, rows: list[int]) -> Points:
        """Return all points, oldest first: (row, point), (row, point), (row, point, feature)."""
        order = (self._head[rows][:, None] + 1 + np.arange(POINTS)) % POINTS  # (row, point)
        of = np.array(rows, dtype=np.intp)[:, None]
        return self._begins[of, order], self._worst[of, order], self._values[of, order]
