"""The last readings of each group, so that a false alarm can be stored with the readings around it."""

from collections import OrderedDict
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.readings import Outcome, Readings
from monitor.core.verdicts import AlertEvent
from monitor.detect.scoring import ScoredBatch

__all__ = ["READINGS_AFTER", "READINGS_BEFORE", "ReadingHistory", "ReadingsAround"]

READINGS_BEFORE = 120
"""Readings, at most, that are given up to an incident's first event: a baseline learns from 99, and the first
of them only warm it up."""
READINGS_AFTER = 60
"""Readings, at most, that are given after it."""
# Readings kept of each group. An incident may begin in the middle of a batch, so those after it count, too.
_KEPT = READINGS_BEFORE + READINGS_AFTER
# With four features 41 bytes a reading: at most 7 MB for all groups, and 1 MB for incidents.
_MAX_GROUPS = 1000
_MAX_INCIDENTS = 200
# Readings that wait to be sorted into the groups' rows: so they cost 0.15 us each in batches of 4,096, and
# 2 us each where they come one by one.
_MAX_PENDING = 256
_REJECTED = {Outcome.DUPLICATE, Outcome.LATE, Outcome.FUTURE, Outcome.RETAINED}


class ReadingsAround(NamedTuple):
    """Readings of one group, oldest first."""

    ts: FloatArray
    """Event times, seconds since the Unix epoch: (reading,)."""
    values: FloatArray
    """(reading, feature)."""


class _Start(NamedTuple):
    """The readings up to the beginning of an incident."""

    group: str
    started_at: float
    before: ReadingsAround


class ReadingHistory:
    """Keeps the last readings of up to 1,000 groups, and those before each of the last 200 incidents.

    It is in memory only: after a restart the history begins anew.
    """

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._free_rows = list(range(_MAX_GROUPS))[::-1]
        # Allocated with the first readings, whose number of features isn't known before. Rings of readings:
        # (row, reading), (row, reading, feature), (row, reading).
        self._ts: FloatArray = np.empty((0, _KEPT))
        self._values: FloatArray = np.empty((0, _KEPT, 0))
        self._faulty: NDArray[np.bool_] = np.empty((0, _KEPT), dtype=np.bool_)
        self._counts = np.zeros(_MAX_GROUPS, dtype=np.intp)  # readings of each group so far: (row,)
        self._pending: list[tuple[list[str], FloatArray, FloatArray, NDArray[np.bool_]]] = []
        self._pending_count = 0
        self._starts: OrderedDict[str, _Start] = OrderedDict()

    def add(self, readings: Readings, scored: ScoredBatch) -> None:
        """Add the readings of a batch, except duplicate, late and future ones, and mark begun incidents."""
        groups, outcomes = list(readings.groups), scored.windows.outcomes
        if not groups:
            return
        faulty = np.zeros(len(groups), dtype=np.bool_)
        faulty[scored.windows.reading_indices] = scored.judged_windows.faulty
        ts, values = readings.ts, readings.values
        if not _REJECTED.isdisjoint(outcomes):
            kept = [row for row, outcome in enumerate(outcomes) if outcome not in _REJECTED]
            groups, ts, values, faulty = [groups[row] for row in kept], ts[kept], values[kept], faulty[kept]
        self._pending.append((groups, ts, values, faulty))
        self._pending_count += len(groups)
        begun = [event for event in scored.events if event.is_first]
        if begun or self._pending_count >= _MAX_PENDING:
            self._store_pending()
        for event in begun:
            self._starts[event.id] = _Start(event.group, event.started_at, self._before(event))
        while len(self._starts) > _MAX_INCIDENTS:
            self._starts.popitem(last=False)

    def around(self, event: AlertEvent) -> ReadingsAround:
        """Return the readings around the beginning of an incident; only its window if no others are kept.

        They begin after the last window before the incident that was Faulty, and end with the incident's
        60th reading, or where the group's next incident begins: an operator has called this incident false,
        and no other.

        Parameters
        ----------
        event : the first event of the incident.
        """
        self._store_pending()
        window = ReadingsAround(np.array(event.window_ts), np.array(event.window_values))
        start = self._starts.get(event.id)
        before = window if start is None else start.before
        row = self._rows.get(event.group)
        if row is None:
            return before
        ts, values, _ = self._ring(row)
        next_start = min(
            (
                other.started_at
                for other in self._starts.values()
                if other.group == event.group and other.started_at > event.started_at
            ),
            default=np.inf,
        )
        last = before.ts[-1]
        is_after = (ts > last) & (ts < next_start)
        # Where the ring no longer reaches back to the incident, its readings are not around it.
        if not len(ts) or ts[0] > last:
            return before
        rows = np.flatnonzero(is_after)[:READINGS_AFTER]
        return ReadingsAround(np.append(before.ts, ts[rows]), np.concatenate([before.values, values[rows]]))

    def forget(self, group: str) -> None:
        """Remove the readings of a group."""
        self._store_pending()
        row = self._rows.pop(group, None)
        if row is not None:
            self._free_rows.append(row)
        for incident in [name for name, start in self._starts.items() if start.group == group]:
            del self._starts[incident]

    def _before(self, event: AlertEvent) -> ReadingsAround:
        """Return the readings up to an incident's first event, without those of an earlier incident."""
        window = ReadingsAround(np.array(event.window_ts), np.array(event.window_values))
        row = self._rows.get(event.group)
        if row is None:
            return window
        ts, values, faulty = self._ring(row)
        earlier_faulty = np.flatnonzero(faulty & (ts < event.started_at))
        end = int(np.searchsorted(ts, event.window_ts[-1], side="right"))
        begin = max(end - READINGS_BEFORE, int(earlier_faulty[-1]) + 1 if len(earlier_faulty) else 0)
        if end - begin < len(window.ts):
            return window
        return ReadingsAround(ts[begin:end], values[begin:end])

    def _ring(self, row: int) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        """Return copies of a group's readings, oldest first, and whether their windows are Faulty."""
        count = int(self._counts[row])
        order = np.arange(max(0, count - _KEPT), count) % _KEPT
        return self._ts[row, order], self._values[row, order], self._faulty[row, order]

    def _store_pending(self) -> None:
        """Sort the pending readings into the rings of their groups."""
        if not self._pending:
            return
        groups = [group for batch in self._pending for group in batch[0]]
        ts, values, faulty = (np.concatenate([batch[part] for batch in self._pending]) for part in (1, 2, 3))
        self._pending, self._pending_count = [], 0
        if not len(self._ts):
            # Rows that no group uses take no memory: the system provides it when it is written to.
            self._ts = np.empty((_MAX_GROUPS, _KEPT))
            self._values = np.empty((_MAX_GROUPS, _KEPT, values.shape[1]))
            self._faulty = np.empty((_MAX_GROUPS, _KEPT), dtype=np.bool_)
        if self._free_rows:
            for group in groups:
                if group not in self._rows and self._free_rows:
                    self._rows[group] = self._free_rows.pop()
                    self._counts[self._rows[group]] = 0
        rows = np.fromiter(map(self._rows.get, groups, repeat(-1)), np.intp, len(groups))  # (reading,)
        order = np.argsort(rows, kind="stable")  # by group, and by arrival within a group
        order = order[np.searchsorted(rows[order], 0) :]  # readings of groups without a row come first
        sorted_rows = rows[order]
        begins = np.flatnonzero(np.append(True, sorted_rows[1:] != sorted_rows[:-1]))[: len(sorted_rows)]
        sizes = np.diff(np.append(begins, len(sorted_rows)))  # readings of each group: (group,)
        positions = self._counts[sorted_rows] + np.arange(len(sorted_rows)) - np.repeat(begins, sizes)
        ring_positions = positions % _KEPT  # of a repeated position numpy keeps the last reading
        self._ts[sorted_rows, ring_positions] = ts[order]
        self._values[sorted_rows, ring_positions] = values[order]
        self._faulty[sorted_rows, ring_positions] = faulty[order]
        self._counts[sorted_rows[begins]] += sizes
