"""The last minutes of each group: ring buffers of points, in arrays with a row per group."""

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = ["POINTS_PER_GROUP", "Points", "Trends"]

POINTS_PER_GROUP = 60
"""Points kept per group."""

Points = tuple[FloatArray, NDArray[np.float32], NDArray[np.float32]]
"""Of each point: its begin (event time, seconds), highest score and newest values; NaN for an empty point."""


class Trends:
    """Keeps one point per `point_interval_s` seconds of event time: the newest values and the highest score.

    Parameters
    ----------
    max_groups : number of rows.
    features : number of values in a reading.
    point_interval_s : seconds of event time that a point covers.
    """

    def __init__(self, max_groups: int, features: int, point_interval_s: float) -> None:
        self._point_interval_s = point_interval_s
        self._head = np.zeros(max_groups, dtype=np.intp)  # position of each group's newest point: (row,)
        self._point_ts = np.full((max_groups, POINTS_PER_GROUP), np.nan)
        self._max_scores = np.full((max_groups, POINTS_PER_GROUP), np.nan, dtype=np.float32)
        self._values = np.full((max_groups, POINTS_PER_GROUP, features), np.nan, dtype=np.float32)
        self.latest_ts: FloatArray = np.full(max_groups, np.nan)
        """Event time of each group's newest reading, seconds since the Unix epoch; NaN if none: (row,)."""
        self.latest_scores: FloatArray = np.full(max_groups, np.nan)
        """Score of each group's newest judged window; NaN if none: (row,)."""
        self.multiple_new_points: NDArray[np.bool_] = np.zeros(max_groups, dtype=np.bool_)
        """Whether the last `add` gave the group more than one new point: (row,)."""

    def add(self, rows: NDArray[np.intp], ts: FloatArray, values: FloatArray, scores: FloatArray) -> None:
        """Add readings in the order of arrival.

        Parameters
        ----------
        rows : row of each reading's group: (reading,).
        ts : event times, seconds since the Unix epoch: (reading,).
        values : (reading, feature).
        scores : P(Faulty) of the window that each reading completed, NaN if it completed none: (reading,).
        """
        self.multiple_new_points[:] = False
        if not len(rows):
            return
        self.latest_ts[rows] = ts  # for a repeated row numpy keeps the last value
        judged = ~np.isnan(scores)
        self.latest_scores[rows[judged]] = scores[judged]

        # Cut the readings into points.
        order = np.argsort(rows, kind="stable")  # by group, and by arrival within a group
        rows, point_ts = rows[order], np.floor(ts[order] / self._point_interval_s) * self._point_interval_s
        is_point_start = np.append(True, (rows[1:] != rows[:-1]) | (point_ts[1:] != point_ts[:-1]))
        first_readings = np.flatnonzero(is_point_start)  # first reading of each point: (point,)
        last_readings = np.append(first_readings[1:], len(rows)) - 1
        rows, point_ts = rows[first_readings], point_ts[first_readings]  # (point,)
        max_scores = np.fmax.reduceat(scores[order], first_readings)
        newest_values = values[order[last_readings]]  # (point, feature)

        # The first point of a group may continue its newest stored one; all others are new.
        group_starts = np.flatnonzero(np.append(True, rows[1:] != rows[:-1]))  # first point: (group,)
        sizes = np.diff(np.append(group_starts, len(rows)))  # points of each group: (group,)
        group_ends = group_starts + sizes - 1  # last point: (group,)
        group_rows = rows[group_starts]  # (group,)
        continues_point = (
            self._point_ts[group_rows, self._head[group_rows]] == point_ts[group_starts]
        )  # (group,)
        continued, continued_rows = group_starts[continues_point], group_rows[continues_point]
        max_scores[continued] = np.fmax(
            max_scores[continued], self._max_scores[continued_rows, self._head[continued_rows]]
        )

        # Store them behind each group's head, as far as they fit into the ring.
        head_offsets = np.arange(len(rows)) - np.repeat(group_starts + continues_point - 1, sizes)  # (point,)
        keep_mask = np.repeat(head_offsets[group_ends], sizes) - head_offsets < POINTS_PER_GROUP  # (point,)
        ring_positions = (self._head[rows] + head_offsets) % POINTS_PER_GROUP  # (point,)
        self._head[group_rows] = ring_positions[group_ends]
        self.multiple_new_points[group_rows] = head_offsets[group_ends] > 1
        rows, ring_positions = rows[keep_mask], ring_positions[keep_mask]
        self._point_ts[rows, ring_positions] = point_ts[keep_mask]
        self._max_scores[rows, ring_positions] = max_scores[keep_mask]
        self._values[rows, ring_positions] = newest_values[keep_mask]

    def clear(self, row: int) -> None:
        """Empty a row for another group."""
        self._head[row] = 0
        for column in (self._point_ts, self._max_scores, self._values, self.latest_ts, self.latest_scores):
            column[row] = np.nan

    def newest_points(self, rows: list[int]) -> Points:
        """Return each group's newest point: (row,), (row,), (row, feature)."""
        head = self._head[rows]
        return self._point_ts[rows, head], self._max_scores[rows, head], self._values[rows, head]

    def all_points(self, rows: list[int]) -> Points:
        """Return all points, oldest first: (row, point), (row, point), (row, point, feature)."""
        oldest = self._head[rows][:, None] + 1  # (row, 1)
        order = (oldest + np.arange(POINTS_PER_GROUP)) % POINTS_PER_GROUP  # (row, point)
        row_column = np.array(rows, dtype=np.intp)[:, None]
        return (
            self._point_ts[row_column, order],
            self._max_scores[row_column, order],
            self._values[row_column, order],
        )
