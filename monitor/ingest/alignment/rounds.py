"""Aligns one value of each of many groups at once."""

import numpy as np

from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.rules import AlignmentRules
from monitor.ingest.alignment.columns import ABSENT, ACCEPTED, DUPLICATE, LATE, ValueColumns
from monitor.ingest.alignment.decisions import Decider
from monitor.ingest.alignment.sampling_times import SamplingTimes
from monitor.ingest.alignment.state import NO_TS, AlignmentTable

__all__ = ["RoundAligner"]


class RoundAligner:
    """Aligns rounds of values: a round has one value of each of some groups, none of which is silent.

    Parameters
    ----------
    table : the groups' states.
    decider : decides sampling times.
    """

    def __init__(
        self, table: AlignmentTable, decider: Decider, rules: AlignmentRules, times: SamplingTimes
    ) -> None:
        self._table = table
        self._decider = decider
        self._is_ordered = rules.is_ordered
        self._times = times

    def push(self, values: ValueColumns) -> IndexArray:
        """Process a round; return the outcome code of each value (value,)."""
        table, decider, rows = self._table, self._decider, values.rows
        due = np.flatnonzero(table.deadline[rows] <= values.now)
        decider.decide_by_clock(rows[due], values.positions[due], values.now[due])
        self._decide_up_to(values.decided, values)
        codes = self._keep(values)
        if self._is_ordered:
            self._decide_up_to(self._times.last_at_or_before(table.newest_ts[rows].min(axis=1)), values)
        return codes

    def _decide_up_to(self, buckets: FloatArray, values: ValueColumns) -> None:
        self._decider.decide_up_to(
            buckets, values.rows, values.positions, values.arrived_at, values.arrived_monotonic
        )

    def _keep(self, values: ValueColumns) -> IndexArray:
        """Put each value among the pending or held ones, or drop it; return the outcome codes (value,)."""
        table, rows, features, ts = self._table, values.rows, values.features, values.ts
        slots = (values.buckets % table.slots).astype(np.intp)
        is_late = values.buckets <= table.decided[rows]
        is_occupied = table.slot_bucket[rows, slots] == values.buckets
        held_ts = table.held_ts[rows, features]
        pending_ts = np.where(is_occupied, table.slot_ts[rows, slots, features], NO_TS)
        codes = np.where(np.isnan(values.values), ABSENT, ACCEPTED)
        is_duplicate = (ts == held_ts) | (ts == pending_ts)
        pending_ts[pending_ts > values.arrived_at] = NO_TS  # a value at the clock's time takes its place
        codes[is_late | (ts < pending_ts)] = LATE
        codes[is_duplicate] = DUPLICATE
        # An event counts at the latest when it arrives: one false time must not speak for all until then.
        newest_ts = np.minimum(ts, values.arrived_at)
        table.newest_ts[rows, features] = np.maximum(table.newest_ts[rows, features], newest_ts)
        held = np.flatnonzero(is_late & (ts > held_ts))
        if len(held):
            table.held_ts[rows[held], features[held]] = ts[held]
            table.held_values[rows[held], features[held]] = values.values[held]
        is_pending = ~is_late & (ts > pending_ts) & ~is_duplicate
        self._occupy(values, slots, np.flatnonzero(is_pending & ~is_occupied))
        pending = np.flatnonzero(is_pending)
        index = rows[pending], slots[pending], features[pending]
        table.slot_ts[index] = ts[pending]
        table.slot_values[index] = values.values[pending]
        return codes

    def _occupy(self, values: ValueColumns, slots: IndexArray, selection: IndexArray) -> None:
        """Occupy the free slots (value,) of the selected values."""
        if not len(selection):
            return
        table, rows, slots = self._table, values.rows[selection], slots[selection]
        buckets, deadlines = values.buckets[selection], values.deadlines[selection]
        table.slot_bucket[rows, slots] = buckets
        table.slot_deadline[rows, slots] = deadlines
        table.slot_ts[rows, slots] = NO_TS
        table.first_pending[rows] = np.minimum(table.first_pending[rows], buckets)
        table.deadline[rows] = np.minimum(table.deadline[rows], deadlines)
        table.next_deadline = min(table.next_deadline, float(deadlines.min()))
