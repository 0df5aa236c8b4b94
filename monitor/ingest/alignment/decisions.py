"""Decides sampling times: pending values become held, and held values become readings."""

from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.readings import Readings
from monitor.core.rules import AlignmentRules
from monitor.core.values import ValueOutcome
from monitor.ingest.alignment.state import NO_TS, AlignmentTable

__all__ = ["AlignedBatch", "Decided", "Decider", "StaleSamples", "collect"]


@dataclass(frozen=True, slots=True)
class StaleSamples:
    """Decided sampling times with news but no reading, because a feature is absent or too old."""

    groups: list[str]
    """The group of each: (sample,)."""
    ts: FloatArray
    """The sampling times, seconds since the Unix epoch, UTC: (sample,)."""
    is_stale: NDArray[np.bool_]
    """Which features are absent or too old: (sample, feature)."""


@dataclass(frozen=True, slots=True)
class AlignedBatch:
    """What a batch of values becomes."""

    readings: Readings
    """The readings, in the order of the values that decided them; within a group by increasing `ts`."""
    outcomes: list[ValueOutcome]
    """The outcome of each value: (value,)."""
    stale: StaleSamples
    """Sampling times without a reading, in the same order."""
    changed_groups: list[str]
    """Groups whose set of stale features changed."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Decided sampling times with news."""

    positions: IndexArray
    """Index in the batch of the value that decided each; the batch's length if a tick did: (sample,)."""
    rows: IndexArray
    """Row of its group: (sample,)."""
    ts: FloatArray
    """The sampling times: (sample,)."""
    values: FloatArray
    """The held values: (sample, feature)."""
    is_stale: NDArray[np.bool_]
    """Which of them are absent or too old: (sample, feature)."""
    is_change: NDArray[np.bool_]
    """Whether other features were stale before: (sample,)."""
    arrived_at: FloatArray
    """Arrival time of the deciding value by the wall clock: (sample,)."""
    arrived_monotonic: FloatArray
    """The same by the monotonic clock; where the clock decided, the time at which it did: (sample,)."""


class Decider:
    """Decides pending sampling times of many groups at once.

    Parameters
    ----------
    table : the groups' states.
    rules : how long values hold.
    """

    def __init__(self, table: AlignmentTable, rules: AlignmentRules) -> None:
        self._table = table
        self._rules = rules
        self._max_age = np.array(rules.max_age)  # (feature,)
        self.decided: list[Decided] = []
        """What was decided since the list was last replaced."""

    def decide_by_clock(self, rows: IndexArray, positions: IndexArray, now: FloatArray) -> None:
        """Decide all that is due at monotonic times `now` (row,), in distinct rows with pending values."""
        while len(rows):
            buckets, deadlines = self._table.first_pending[rows], self._table.deadline[rows]
            # The deadline's time by the wall clock, where values arrive as soon as they are sent.
            arrived_at = buckets * self._rules.period + self._rules.wait
            self._decide_first(rows, buckets, positions, arrived_at, deadlines)
            is_due = (self._table.deadline[rows] <= now) & (self._table.first_pending[rows] < np.inf)
            rows, positions, now = rows[is_due], positions[is_due], now[is_due]

    def decide_up_to(
        self,
        buckets: FloatArray,
        rows: IndexArray,
        positions: IndexArray,
        arrived_at: FloatArray,
        arrived_monotonic: FloatArray,
    ) -> None:
        """Decide all up to a bucket (row,) in each of distinct rows; the rest as in `Decided` (row,)."""
        first_pending = self._table.first_pending[rows]
        due = np.flatnonzero(first_pending <= buckets)
        while len(due):
            first = first_pending[due]
            # A group's clock may be ahead of ours: its readings must not count as `future`.
            arrival = np.maximum(arrived_at[due], first * self._rules.period)
            self._decide_first(rows[due], first, positions[due], arrival, arrived_monotonic[due])
            first_pending = self._table.first_pending[rows]
            due = due[first_pending[due] <= buckets[due]]
        self._table.decided[rows] = np.maximum(self._table.decided[rows], buckets)

    def _decide_first(
        self,
        rows: IndexArray,
        buckets: FloatArray,
        positions: IndexArray,
        arrived_at: FloatArray,
        arrived_monotonic: FloatArray,
    ) -> None:
        """Decide the first pending bucket (row,) of each of distinct rows."""
        table, period = self._table, self._rules.period
        slots = (buckets % table.slots).astype(np.intp)
        slot_ts = table.slot_ts[rows, slots]  # (row, feature)
        is_news = slot_ts > NO_TS
        held_ts = np.where(is_news, slot_ts, table.held_ts[rows])
        held_values = np.where(is_news, table.slot_values[rows, slots], table.held_values[rows])
        table.held_ts[rows], table.held_values[rows] = held_ts, held_values
        ts = buckets * period  # (row,)
        is_fresh = (ts[:, None] - held_ts <= self._max_age) & ~np.isnan(held_values)
        if not self._rules.on_change:
            is_fresh &= held_ts > ((buckets - 1) * period)[:, None]
        is_stale = ~is_fresh
        was_stale, table.is_stale[rows] = table.is_stale[rows], is_stale & (held_ts > NO_TS)
        is_change = (table.is_stale[rows] != was_stale).any(axis=1)
        table.decided[rows] = buckets
        table.slot_bucket[rows, slots] = table.slot_deadline[rows, slots] = np.inf
        table.update_first(rows)
        self.decided.append(
            Decided(positions, rows, ts, held_values, is_stale, is_change, arrived_at, arrived_monotonic)
        )


def collect(
    decided: list[Decided], table: AlignmentTable, cleared_rows: list[int], outcomes: list[ValueOutcome]
) -> AlignedBatch:
    """Return the results of a batch.

    Parameters
    ----------
    decided : the sampling times that were decided; within a group in order.
    table : the groups' states.
    cleared_rows : rows of groups whose stale features were cleared by a fresh start.
    outcomes : the outcome of each value: (value,).
    """
    joined = _join(decided, table.features)
    order = np.argsort(joined.positions, kind="stable")
    is_reading: NDArray[np.bool_] = ~np.logical_or.reduce(joined.is_stale[order], axis=1)
    complete, stale = order[is_reading], order[~is_reading]
    is_arrival_ts = table.has_arrival_ts[joined.rows[complete]]
    changed_rows = joined.rows[order][joined.is_change[order]].tolist()
    return AlignedBatch(
        readings=Readings(
            groups=[table.name(row) for row in joined.rows[complete].tolist()],
            ts=joined.ts[complete],
            values=joined.values[complete],
            arrived_at=joined.arrived_at[complete],
            arrived_monotonic=joined.arrived_monotonic[complete],
            redelivered=np.zeros(len(complete), np.bool_),
            is_arrival_ts=is_arrival_ts if is_arrival_ts.any() else None,
        ),
        outcomes=outcomes,
        stale=StaleSamples(
            groups=[table.name(row) for row in joined.rows[stale].tolist()],
            ts=joined.ts[stale],
            is_stale=joined.is_stale[stale],
        ),
        changed_groups=[table.name(row) for row in dict.fromkeys([*cleared_rows, *changed_rows])],
    )


def _join(decided: list[Decided], features: int) -> Decided:
    """Return all in one."""
    if len(decided) == 1:
        return decided[0]
    if not decided:
        rows, times, flags = np.empty(0, np.intp), np.empty(0), np.empty(0, np.bool_)
        values = np.empty((0, features))
        return Decided(rows, rows, times, values, values > 0, flags, times, times)
    columns = zip(*(_columns(part) for part in decided), strict=True)
    return Decided(*map(np.concatenate, columns))


_columns = attrgetter(*Decided.__slots__)
