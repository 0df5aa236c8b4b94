"""Aligns the values of one group one by one, with its state in lists.

The rules are those of `RoundAligner` and `Decider`. An array operation on one group takes as long as on
fifty, so this is faster where a batch has few groups. The values of silent groups are also processed here.
"""

from dataclasses import dataclass
from math import inf, nan

import numpy as np

from monitor.core.rules import AlignmentRules
from monitor.ingest.alignment.columns import ABSENT, ACCEPTED, DUPLICATE, LATE, RETAINED, ValueColumns
from monitor.ingest.alignment.decisions import Decided
from monitor.ingest.alignment.sampling_times import SamplingTimes
from monitor.ingest.alignment.state import NO_TS, AlignmentTable

__all__ = ["GroupAligner"]

_Sample = tuple[int, int, float, list[float], list[bool], bool, float, float]
"""One row of `Decided`."""


@dataclass(slots=True)
class _Slot:
    """The pending values of one sampling time."""

    deadline: float
    ts: list[float]  # (feature,)
    values: list[float]  # (feature,)


class GroupAligner:
    """Aligns values of one group. `save` puts its state back into the table.

    Parameters
    ----------
    table : the groups' states.
    row : row of the group.
    """

    def __init__(self, table: AlignmentTable, row: int, rules: AlignmentRules, times: SamplingTimes) -> None:
        self._table = table
        self._row = row
        self._rules = rules
        self._times = times
        self._samples: list[_Sample] = []
        self.was_stale_when_cleared = False
        """Whether the group had stale features when it made a fresh start."""
        self._read()

    def _read(self) -> None:
        """Read the group's state from the table."""
        table, row = self._table, self._row
        self._is_silent = bool(table.is_silent[row])
        self._decided = float(table.decided[row])
        self._is_stale: list[bool] = table.is_stale[row].tolist()
        self._held_ts: list[float] = table.held_ts[row].tolist()
        self._held_values: list[float] = table.held_values[row].tolist()
        self._newest_ts: list[float] = table.newest_ts[row].tolist()
        self._pending: dict[float, _Slot] = {}  # bucket -> slot
        self._first_pending = float(table.first_pending[row])
        self._deadline = float(table.deadline[row])
        if self._first_pending < inf:
            for slot, bucket in enumerate(table.slot_bucket[row].tolist()):
                if bucket < inf:
                    self._pending[bucket] = _Slot(
                        float(table.slot_deadline[row, slot]),
                        table.slot_ts[row, slot].tolist(),
                        table.slot_values[row, slot].tolist(),
                    )

    def save(self) -> None:
        """Write the group's state into the table."""
        table, row = self._table, self._row
        table.is_silent[row] = self._is_silent
        table.decided[row] = self._decided
        table.is_stale[row] = self._is_stale
        table.held_ts[row] = self._held_ts
        table.held_values[row] = self._held_values
        table.newest_ts[row] = self._newest_ts
        table.slot_bucket[row] = table.slot_deadline[row] = inf
        for bucket, slot in self._pending.items():
            index = int(bucket % table.slots)
            table.slot_bucket[row, index] = bucket
            table.slot_deadline[row, index] = slot.deadline
            table.slot_ts[row, index] = slot.ts
            table.slot_values[row, index] = slot.values
        table.first_pending[row], table.deadline[row] = self._first_pending, self._deadline
        table.next_deadline = min(table.next_deadline, self._deadline)

    def push(self, values: ValueColumns) -> list[int]:
        """Process values of the group in the order of arrival; return their outcome codes."""
        columns = (
            values.positions, values.features, values.ts, values.values, values.buckets, values.decided,
            values.deadlines, values.arrived_at, values.arrived_monotonic, values.now,
            values.is_replayed, values.is_retained,
        )  # fmt: skip
        codes = []
        for position, feature, ts, value, bucket, decided, deadline, arrived_at, arrived, now, *flags in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            while self._deadline <= now:
                clock_arrival = self._first_pending * self._rules.period + self._rules.wait
                self._decide_first(position, clock_arrival, self._deadline)
            if self._is_silent and not self._wake(bucket, *flags):
                codes.append(RETAINED)
                continue
            self._decide_up_to(decided, position, arrived_at, arrived)
            codes.append(self._keep(feature, ts, value, bucket, deadline, arrived_at))
            if self._rules.is_ordered:
                oldest_ts = min(self._newest_ts)
                if (self._decided + 1) * self._rules.period <= oldest_ts:
                    last = self._times.last_at_or_before_one(oldest_ts)
                    self._decide_up_to(last, position, arrived_at, arrived)
        return codes

    def decided(self) -> list[Decided]:
        """Return what the values decided."""
        if not self._samples:
            return []
        positions, rows, ts, values, is_stale, is_change, arrived_at, arrived_monotonic = zip(
            *self._samples, strict=True
        )
        return [
            Decided(
                positions=np.array(positions, np.intp),
                rows=np.array(rows, np.intp),
                ts=np.array(ts),
                values=np.array(values),
                is_stale=np.array(is_stale),
                is_change=np.array(is_change),
                arrived_at=np.array(arrived_at),
                arrived_monotonic=np.array(arrived_monotonic),
            )
        ]

    def _wake(self, bucket: float, is_replayed: bool, is_retained: bool) -> bool:  # noqa: FBT001
        """Clear the state of the silent group if a value is a fresh start; False: drop the value."""
        if is_retained:
            return False  # that the broker still has it does not show that the group is alive
        if not (is_replayed and bucket <= self._decided):
            self.was_stale_when_cleared |= any(self._is_stale)
            has_arrival_ts = self._table.has_arrival_ts[self._row]
            self._table.clear(self._row)
            self._table.has_arrival_ts[self._row] = has_arrival_ts
            self._read()
        return True

    def _decide_up_to(self, bucket: float, position: int, arrived_at: float, arrived: float) -> None:
        """Decide all sampling times up to a bucket because of a value."""
        while self._first_pending <= bucket:
            ts = self._first_pending * self._rules.period
            # A group's clock may be ahead of ours: its readings must not count as `future`.
            self._decide_first(position, max(arrived_at, ts), arrived)
        self._decided = max(self._decided, bucket)

    def _decide_first(self, position: int, arrived_at: float, arrived_monotonic: float) -> None:
        """Decide the first pending bucket."""
        bucket, period, on_change = self._first_pending, self._rules.period, self._rules.on_change
        slot = self._pending.pop(bucket)
        ts, previous_ts = bucket * period, (bucket - 1) * period
        is_stale = []
        for feature, (slot_ts, max_age) in enumerate(zip(slot.ts, self._rules.max_age, strict=True)):
            if slot_ts > NO_TS:
                self._held_ts[feature], self._held_values[feature] = slot_ts, slot.values[feature]
            held_ts, value = self._held_ts[feature], self._held_values[feature]
            is_fresh = ts - held_ts <= max_age and value == value and (on_change or held_ts > previous_ts)  # noqa: PLR0124
            is_stale.append(not is_fresh)
        was_stale, self._is_stale = (
            self._is_stale,
            [flag and ts > NO_TS for flag, ts in zip(is_stale, self._held_ts, strict=True)],
        )
        is_change = self._is_stale != was_stale
        self._decided = bucket
        self._first_pending = min(self._pending, default=inf)
        self._deadline = min((slot.deadline for slot in self._pending.values()), default=inf)
        held = self._held_values.copy()
        self._samples.append(
            (position, self._row, ts, held, is_stale, is_change, arrived_at, arrived_monotonic)
        )

    def _keep(
        self, feature: int, ts: float, value: float, bucket: float, deadline: float, arrived_at: float
    ) -> int:
        """Put a value among the pending or held ones, or drop it; return its outcome code."""
        slot = self._pending.get(bucket)
        pending_ts = NO_TS if slot is None else slot.ts[feature]
        if ts in {self._held_ts[feature], pending_ts}:
            return DUPLICATE
        self._newest_ts[feature] = max(self._newest_ts[feature], min(ts, arrived_at))
        if bucket <= self._decided:
            if ts > self._held_ts[feature]:
                self._held_ts[feature], self._held_values[feature] = ts, value
            return LATE
        if ts < pending_ts <= arrived_at:  # one ahead of the clock is replaced by one at the clock's time
            return LATE
        if slot is None:
            features = len(self._held_ts)
            slot = self._pending[bucket] = _Slot(deadline, [NO_TS] * features, [nan] * features)
            self._first_pending = min(self._first_pending, bucket)
            self._deadline = min(self._deadline, deadline)
        slot.ts[feature], slot.values[feature] = ts, value
        return ABSENT if value != value else ACCEPTED  # noqa: PLR0124
