"""The last minutes of each group, as a ring of points in arrays with a row for each group."""

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = ["POINTS_PER_GROUP", "Points", "Trends"]

POINTS_PER_GROUP = 60
"""Points that are kept of a group."""

Points = tuple[FloatArray, NDArray[np.float32], NDArray[np.float32]]
"""When each began (event time, seconds), its highest score, its values; NaN where there is none."""


class Trends:
    """Keeps a point for every `point_interval_s` seconds of event time: the newest values, the highest score.

    Parameters
    ----------
    max_groups : groups there is room for.
    features : values in a reading.
    point_interval_s : seconds of event time that a point stands for.
    """

    def __init__(self, max_groups: int, features: int, point_interval_s: float) -> None:
        self._point_interval_s = point_interval_s
        self._head = np.zeros(max_groups, dtype=np.intp)
        self._point_ts = np.full((max_groups, POINTS_PER_GROUP), np.nan)
        self._max_scores = np.full((max_groups, POINTS_PER_GROUP), np.nan, dtype=np.float32)
        self._values = np.full((max_groups, POINTS_PER_GROUP, features), np.nan, dtype=np.float32)
        self.latest_ts: FloatArray = np.full(max_groups, np.nan)
        """Event time of each group's newest reading, seconds since the Unix epoch; NaN: none yet. (row,)"""
        self.latest_scores: FloatArray = np.full(max_groups, np.nan)
        """Of each group's newest judged window: (row,)."""
        self.multiple_new_points: NDArray[np.bool_] = np.zeros(max_groups, dtype=np.bool_)
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
        self.multiple_new_points[:] = False
        if not len(rows):
            return
        self.latest_ts[rows] = ts  # of those that repeat, the last one stays
        judged = ~np.isnan(scores)
        self.latest_scores[rows[judged]] = scores[judged]

        order = np.argsort(rows, kind="stable")  # by group, and by arrival within it
        rows, point_ts = rows[order], np.floor(ts[order] / self._point_interval_s) * self._point_interval_s
        is_point_start = np.append(True, (rows[1:] != rows[:-1]) | (point_ts[1:] != point_ts[:-1]))
        first_readings = np.flatnonzero(is_point_start)  # each point's first reading: (point,)
        last_readings = np.append(first_readings[1:], len(rows)) - 1
        rows, point_ts = rows[first_readings], point_ts[first_readings]  # (point,)
        max_scores = np.fmax.reduceat(scores[order], first_readings)
        newest_values = values[order[last_readings]]  # (point, feature)

        # A group's first point here may be the one that is under way; each other one is a new one.
        group_starts = np.flatnonzero(np.append(True, rows[1:] != rows[:-1]))
        sizes = np.diff(np.append(group_starts, len(rows)))  # points of each group
        continues_point = (
            self._point_ts[rows[group_starts], self._head[rows[group_starts]]] == point_ts[group_starts]
        )  # (group,)
        max_scores[group_starts[continues_point]] = np.fmax(
            max_scores[group_starts[continues_point]],
            self._max_scores[
                rows[group_starts[continues_point]], self._head[rows[group_starts[continues_point]]]
            ],
        )
        head_offsets = np.arange(len(rows)) - np.repeat(
            group_starts + continues_point - 1, sizes
        )  # beyond the head: (point,)
        keep_mask = np.repeat(head_offsets[group_starts + sizes - 1], sizes) - head_offsets < POINTS_PER_GROUP
        ring_positions = (self._head[rows] + head_offsets) % POINTS_PER_GROUP
        self._head[rows[group_starts]] = ring_positions[group_starts + sizes - 1]
        self.multiple_new_points[rows[group_starts]] = head_offsets[group_starts + sizes - 1] > 1
        rows, ring_positions = rows[keep_mask], ring_positions[keep_mask]
        self._point_ts[rows, ring_positions] = point_ts[keep_mask]
        self._max_scores[rows, ring_positions] = max_scores[keep_mask]
        self._values[rows, ring_positions] = newest_values[keep_mask]

    def clear(self, row: int) -> None:
        """Make room for another group."""
        self._head[row] = 0
        for column in (self._point_ts, self._max_scores, self._values, self.latest_ts, self.latest_scores):
            column[row] = np.nan

    def newest_points(self, rows: list[int]) -> Points:
        """Return each group's newest point: (row,), (row,), (row, feature)."""
        head = self._head[rows]
        return self._point_ts[rows, head], self._max_scores[rows, head], self._values[rows, head]

    def all_points(self, rows: list[int]) -> Points:
        """Return all points, oldest first: (row, point), (row, point), (row, point, feature)."""
        order = (
            self._head[rows][:, None] + 1 + np.arange(POINTS_PER_GROUP)
        ) % POINTS_PER_GROUP  # (row, point)
        row_column = np.array(rows, dtype=np.intp)[:, None]
        return (
            self._point_ts[row_column, order],
            self._max_scores[row_column, order],
            self._values[row_column, order],
        )
