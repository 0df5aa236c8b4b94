"""Values -> readings: a reading at each sampling time at which each feature of a group has a fresh value.

A sampling time is decided when each feature has spoken at or after it, when an event of the group is at or
after it by `wait`, or by the clock. A reading then has the newest value of each feature up to the sampling
time: never interpolated, never filled in. Sampling times without a new value give nothing.

The values of a batch are processed in rounds, with the first value of each group in the first round, and so
on. Each round is a few array operations over its groups.
"""

from itertools import pairwise
from math import ceil

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.rules import AlignmentRules
from monitor.core.values import Values
from monitor.ingest.alignment.columns import FUTURE, OUTCOMES, ValueColumns
from monitor.ingest.alignment.decisions import AlignedBatch, Decider, collect
from monitor.ingest.alignment.one_by_one import GroupAligner
from monitor.ingest.alignment.rounds import RoundAligner
from monitor.ingest.alignment.sampling_times import SamplingTimes
from monitor.ingest.alignment.state import NO_TS, AlignmentTable

__all__ = ["AlignmentStage"]

_MAX_SLOTS = 16
# Besides those that `wait` and the lead take: the sampling time before and the one after are begun.
_SPARE_SLOTS = 2
# Rounds of fewer groups are processed group by group.
_MIN_GROUPS_PER_ROUND = 16


class AlignmentStage:
    """Keeps the held and the pending values of each group and makes readings of them.

    Parameters
    ----------
    features : values in a reading, from the bundle.
    rules : the sampling times, and how long values are waited for and hold.

    Raises
    ------
    ValueError : `wait` is too long for the period.
    """

    def __init__(self, features: int, rules: AlignmentRules) -> None:
        max_periods = _MAX_SLOTS - _SPARE_SLOTS - 1  # so that senders may be ahead by a period
        if rules.wait > max_periods * rules.period:
            raise ValueError(
                f"wait is {rules.wait:g} s, expected at most {max_periods} sampling periods "
                f"of {rules.period:g} s"
            )
        needed_slots = ceil((rules.wait + rules.max_skew) / rules.period) + _SPARE_SLOTS
        slots = min(_MAX_SLOTS, needed_slots)
        self._max_lead = min(rules.max_skew, (slots - _SPARE_SLOTS) * rules.period - rules.wait)
        self._rules = rules
        self._times = SamplingTimes(rules.period, rules.wait)
        self._table = AlignmentTable(features, slots, self._times)
        self._decider = Decider(self._table, rules)
        self._rounds = RoundAligner(self._table, self._decider, rules, self._times)
        self._cleared_rows: list[int] = []  # groups whose stale features a fresh start cleared

    @property
    def next_deadline(self) -> float:
        """Lower bound of the monotonic time at which the clock decides a sampling time; inf: none pending."""
        return self._table.next_deadline

    @property
    def pending_count(self) -> int:
        """Number of sampling times with values that are not decided, over all groups."""
        table = self._table
        return int(np.count_nonzero(table.slot_bucket[table.first_pending < np.inf] < np.inf))

    def push(self, values: Values, now: float) -> AlignedBatch:
        """Process a batch of values and the time that has passed.

        Parameters
        ----------
        values : the batch; may be empty.
        now : monotonic seconds; all that arrived until then has been passed. inf decides all that is pending,
            as at the end of a recording.
        """
        self._decider.decided, self._cleared_rows = [], []
        codes = np.full(len(values.ts), FUTURE)  # (value,)
        positions = np.flatnonzero(values.ts <= values.arrived_at + self._max_lead)
        if len(positions):
            groups = values.groups
            if len(positions) < len(codes):
                groups = [groups[position] for position in positions.tolist()]
            rows = self._table.find_or_add(groups)
            columns = ValueColumns.build(values, positions, rows, self._rules, self._times)
            if values.is_arrival_ts is not None:
                self._note_arrival_times(columns, values.is_arrival_ts[positions])
            codes[positions] = self._push_columns(columns)
        self._tick(len(codes), now)
        outcomes = [OUTCOMES[code] for code in codes.tolist()]
        return collect(self._decider.decided, self._table, self._cleared_rows, outcomes)

    def _note_arrival_times(self, values: ValueColumns, is_arrival_ts: NDArray[np.bool_]) -> None:
        """Note groups whose event times are arrival times; if these go back, the group begins afresh.

        Parameters
        ----------
        is_arrival_ts : whether the event time is the time of arrival (value,).
        """
        rows = values.rows[is_arrival_ts]
        self._table.has_arrival_ts[rows] = True
        # Nothing is decided before what arrives now, unless by a clock that has been set back since.
        is_behind = values.buckets[is_arrival_ts] < self._table.decided[rows]
        self._table.is_silent[rows[is_behind]] = True

    def restart_arrival_times(self) -> None:
        """Let the next value of each group whose event times are arrival times be a fresh start.

        To be called when the wall clock was set, before the first value that arrived after that.
        """
        self._table.is_silent[self._table.has_arrival_ts] = True

    def _push_columns(self, values: ValueColumns) -> IndexArray:
        """Process values in the order of arrival; return their outcome codes (value,)."""
        if len(values.rows) == 1:
            return np.array(self._push_group(values))
        codes = np.empty(len(values.rows), np.intp)
        order = np.argsort(values.rows, kind="stable")  # by group, and by arrival within a group
        if len(order) >= _MIN_GROUPS_PER_ROUND:
            rows = values.rows[order]
            round_numbers = _count_within_groups(rows)
            round_sizes = np.bincount(round_numbers)  # decreasing
            rounds = np.count_nonzero(round_sizes >= _MIN_GROUPS_PER_ROUND)
            is_in_round = (round_numbers < rounds) & ~self._table.is_silent[rows]
            by_round = order[is_in_round][np.argsort(round_numbers[is_in_round], kind="stable")]
            ends = np.cumsum(np.bincount(round_numbers[is_in_round], minlength=1)).tolist()
            in_rounds = values.take(by_round)
            for start, end in pairwise([0, *ends]):
                codes[by_round[start:end]] = self._rounds.push(in_rounds.take(slice(start, end)))
            order = order[~is_in_round]
        if len(order):
            codes[order] = self._push_each(values.take(order))
        return codes

    def _push_each(self, values: ValueColumns) -> list[int]:
        """Process values that are sorted by group, group by group; return their outcome codes (value,)."""
        codes: list[int] = []
        bounds = [0, *(np.flatnonzero(np.diff(values.rows)) + 1).tolist(), len(values.rows)]
        for start, end in pairwise(bounds):
            codes += self._push_group(values.take(slice(start, end)))
        return codes

    def _push_group(self, values: ValueColumns) -> list[int]:
        """Process values of one group one by one; return their outcome codes (value,)."""
        row = int(values.rows[0])
        group = GroupAligner(self._table, row, self._rules, self._times)
        codes = group.push(values)
        group.save()
        self._decider.decided += group.decided()
        if group.was_stale_when_cleared:
            self._cleared_rows.append(row)
        return codes

    def _tick(self, position: int, now: float) -> None:
        """Decide all that is due at `now` (monotonic seconds), at a position after the batch's values."""
        table = self._table
        if now < table.next_deadline:
            return
        rows = np.flatnonzero((table.deadline <= now) & (table.first_pending < np.inf))
        self._decider.decide_by_clock(rows, np.full(len(rows), position), np.full(len(rows), now))
        table.next_deadline = float(table.deadline.min(initial=np.inf))

    def stale_features(self, group: str) -> dict[int, float]:
        """Return the stale features of a group, and the event time since which each is stale.

        Features that never had a value are left out.
        """
        table, row = self._table, self._table.row(group)
        if row is None:
            return {}
        decided_ts = float(table.decided[row]) * self._rules.period
        since = {}
        for feature in np.flatnonzero(table.is_stale[row]).tolist():
            is_absent = np.isnan(table.held_values[row, feature])
            stale_ts = float(table.held_ts[row, feature]) + (0 if is_absent else self._hold(feature))
            since[feature] = min(stale_ts, decided_ts)  # a late value may have come since
        return since

    def _hold(self, feature: int) -> float:
        """Return the seconds that a value of a feature holds."""
        max_age = self._rules.max_age[feature]
        return max_age if self._rules.on_change else min(max_age, self._rules.period)

    def feature_ages(self, now: float) -> FloatArray:
        """Return the seconds since each feature's newest value: (row, feature); NaN if it has none.

        Any thread may call this. Rows of no group, and those of silent groups, have none.

        Parameters
        ----------
        now : wall clock, seconds since the Unix epoch.
        """
        records = self._table.records  # once: the pipeline's thread may replace it
        newest_ts = records["newest_ts"]
        has_age = (newest_ts > NO_TS) & ~records["is_silent"][:, None]
        return np.where(has_age, now - newest_ts, np.nan)

    @property
    def max_ages(self) -> list[float]:
        """Seconds that a value of each feature holds: (feature,)."""
        return [self._hold(feature) for feature in range(self._table.features)]

    def groups(self) -> list[str]:
        """Return the names of all groups with a state."""
        return self._table.names()

    def dump(self, group: str) -> bytes:
        """Return a group's state as bytes for `load`; an unknown group is dumped as new."""
        return self._table.dump(group)

    def load(self, group: str, value: bytes, now: float) -> None:
        """Set a group's state from bytes that `dump` returned, here or in another instance.

        Parameters
        ----------
        now : monotonic seconds. Pending sampling times are decided `wait` later at the latest: what the
            broker delivers again after a restart is in time.

        Raises
        ------
        ValueError : the value is damaged, of another version or of another shape.
        """
        self._table.load_pending(group, value, now + self._rules.wait)

    def mark_silent(self, group: str) -> None:
        """Mark a group as silent: its next value is a fresh start, whatever its event time."""
        row = self._table.add(group)  # an expected group falls silent without ever having had a value
        self._table.is_silent[row] = True

    def forget(self, group: str) -> None:
        """Remove a group's state."""
        self._table.forget(group)


def _count_within_groups(rows: IndexArray) -> IndexArray:
    """Return the number of values of the same group before each one, of values sorted by group (value,)."""
    starts = np.ones(len(rows), np.bool_)
    starts[1:] = rows[1:] != rows[:-1]
    first = np.flatnonzero(starts)
    numbers: IndexArray = np.arange(len(rows)) - first[np.cumsum(starts) - 1]
    return numbers
