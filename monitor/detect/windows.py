"""Readings -> windows: keeps each group's last readings, and decides if a new reading continues the window.

A large batch is processed with array operations: its readings are sorted by group and concatenated, with the
stored readings of each group before its new ones, so that every window is a slice of the concatenated array.
This requires that each group's readings are in order, which is nearly always the case. Groups with readings
out of order, silent groups, and small batches are processed reading by reading.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.readings import Outcome, Readings, Windows
from monitor.core.rules import WindowRules
from monitor.detect.reading_history import ARRIVAL_TS, NO_TS, OWN_TS, ReadingHistory

__all__ = ["WindowStage"]

_OUTCOMES = (
    Outcome.FILLING,
    Outcome.JUDGED,
    Outcome.SKIPPED,
    Outcome.DUPLICATE,
    Outcome.LATE,
    Outcome.GAP,
    Outcome.FUTURE,
    Outcome.RETAINED,
)
_FILLING, _JUDGED, _SKIPPED, _DUPLICATE, _LATE, _GAP, _FUTURE, _RETAINED = range(len(_OUTCOMES))
# Position of a missing reading in `_SortedBatch`: the last one, which holds `NO_TS`.
_NO_POSITION = -1
# Up to this many readings are processed one by one, at 7 µs per reading. Array operations take at least 60
# µs.
_MAX_READINGS_ONE_BY_ONE = 8


@dataclass(frozen=True, slots=True)
class _SortedBatch:
    """The readings of a batch sorted by group, each group's stored readings before its new ones.

    A *position* is an index into this concatenation, a *reading* an index into the new readings, sorted by
    group.
    """

    group_rows: IndexArray
    """Row of each group in the history: (group,)."""
    first_readings: IndexArray
    """First new reading of each group: (group,)."""
    last_readings: IndexArray
    """Last new reading of each group: (group,)."""
    ts: FloatArray
    """Event times: (position,)."""
    values: FloatArray
    """Raw values: (position, feature)."""
    window_positions: IndexArray
    """Positions of the window that ends with each new reading: (reading, step)."""
    outcome_codes: NDArray[np.int8]
    """Outcome of each new reading, as an index into `_OUTCOMES`: (reading,)."""
    stride_phases: NDArray[np.int64]
    """Stride phase of each group after the batch, see `ReadingHistory`: (group,)."""


_CompletedWindows = tuple[IndexArray, FloatArray, FloatArray]
"""Indices of the readings that completed a window (window,), and the windows' event times (window, step) and
values (window, step, feature)."""


class WindowStage:
    """Keeps the last readings of each group and cuts windows.

    Parameters
    ----------
    steps : readings in a window, from the bundle.
    features : values in a reading, from the bundle.
    rules : when a window restarts, which readings are `future`, and which windows are judged.
    """

    def __init__(self, steps: int, features: int, rules: WindowRules) -> None:
        self._steps = steps
        self._features = features
        self._max_gap = rules.max_gap
        self._max_skew = rules.max_skew
        self._stride = rules.stride
        self._history = ReadingHistory(steps, features)
        self._has_arrival_ts = False  # whether some reading had no event time of its own

    def push(self, readings: Readings) -> Windows:
        """Process a batch of readings; return the windows that they complete, and each reading's outcome."""
        self._has_arrival_ts = self._has_arrival_ts or readings.is_arrival_ts is not None
        if len(readings.ts) <= _MAX_READINGS_ONE_BY_ONE:
            codes_one_by_one, (judged, ts, values) = self._push_each(readings, range(len(readings.ts)))
            return Windows([_OUTCOMES[code] for code in codes_one_by_one], judged, ts, values)
        codes = np.full(len(readings.ts), _FUTURE, dtype=np.int8)  # (reading,)
        rows = np.flatnonzero(readings.ts <= readings.arrived_at + self._max_skew)
        group_rows = self._history.find_or_add([readings.groups[row] for row in rows.tolist()])
        order = np.argsort(group_rows, kind="stable")
        rows, group_rows = rows[order], group_rows[order]  # by group, and by arrival within a group
        out_of_order = self._flag_out_of_order(group_rows, readings.ts[rows], readings.arrived_at[rows])
        windows = self._push_sorted(readings, rows[~out_of_order], group_rows[~out_of_order], codes)
        if out_of_order.any():
            out_of_order_rows = rows[out_of_order]
            codes[out_of_order_rows], others = self._push_each(readings, out_of_order_rows.tolist())
            windows = _merge_windows(windows, others)
        judged, ts, values = windows
        return Windows([_OUTCOMES[code] for code in codes.tolist()], judged, ts, values)

    def _push_each(self, readings: Readings, rows: Sequence[int]) -> tuple[list[int], _CompletedWindows]:
        """Process readings one by one; return their outcome codes and the windows that they complete."""
        codes, judged, ts, values = [], [], [], []
        for row in rows:
            code, event_ts = _FUTURE, float(readings.ts[row])
            if event_ts <= readings.arrived_at[row] + self._max_skew:
                group = self._history.add(readings.groups[row])
                code = self._push_reading(group, readings, row)
            codes.append(code)
            if code == _JUDGED:
                judged.append(row)
                ts.append(self._history.ts[group].copy())
                values.append(self._history.values[group].copy())
        return codes, (
            np.array(judged, dtype=np.intp),
            np.array(ts).reshape(-1, self._steps),
            np.array(values).reshape(-1, self._steps, self._features),
        )

    def _push_reading(self, row: int, readings: Readings, index: int) -> int:
        """Process one reading of a batch, and return its outcome code.

        Parameters
        ----------
        row : the group's row in the history.
        """
        history, ts = self._history, float(readings.ts[index])
        group_ts = history.ts[row]  # (step,)
        last_ts = float(group_ts[-1])
        if history.is_silent[row]:
            is_retained = readings.retained is not None and bool(readings.retained[index])
            # A redelivered or retained reading may have been judged before the group fell silent, so it is
            # still compared with the last event time.
            if not ((readings.redelivered[index] or is_retained) and ts <= last_ts):
                if is_retained:
                    return _RETAINED  # that the broker still has it does not show that the group is alive
                history.clear(row)
                last_ts = NO_TS
        is_arrival_ts = readings.is_arrival_ts is not None and bool(readings.is_arrival_ts[index])
        if ts <= last_ts and is_arrival_ts and history.ts_origin[row] != OWN_TS:
            history.clear(row)  # arrival times increase, so the clock was set back since the last reading
            last_ts = NO_TS
        if ts <= last_ts:
            if not self._remove_future(row, readings, index):
                return _LATE if ts < last_ts else _DUPLICATE
            last_ts = float(group_ts[-1])
        code = _FILLING
        if last_ts > NO_TS and ts - last_ts > self._max_gap:
            if readings.arrived_at[index] - last_ts <= self._max_gap:
                return _FUTURE  # by the clock there is no gap: a false time must not restart the window
            history.clear(row)
            code = _GAP
        if self._has_arrival_ts:
            history.ts_origin[row] = ARRIVAL_TS if is_arrival_ts else OWN_TS
        history.append(row, ts, readings.values[index])
        return self._count_window(row) if group_ts[0] > NO_TS else code

    def _count_window(self, row: int) -> int:
        """Return the outcome code of a reading that completed a window of the group in this row."""
        phase = int(self._history.stride_phase[row])
        self._history.stride_phase[row] = (phase + 1) % self._stride
        return _SKIPPED if phase else _JUDGED

    def _remove_future(self, row: int, readings: Readings, index: int) -> bool:
        """Remove a group's readings that are ahead of the clock if the next one continues those before them.

        Otherwise one false event time would make all readings late until the clock has reached it.

        Returns
        -------
        Whether the next reading (index in the batch) is after all that is left.
        """
        group_ts, ts, now = self._history.ts[row], readings.ts[index], readings.arrived_at[index]
        count = int(np.count_nonzero(group_ts > now))
        is_repeated = readings.redelivered[index] or (
            readings.retained is not None and readings.retained[index]
        )
        if not count or is_repeated or (group_ts == ts).any():
            return False
        past_ts = group_ts[-1 - count] if count < self._steps else NO_TS
        if ts <= (past_ts if past_ts > NO_TS else now - self._max_skew):
            return False
        self._history.remove_last(row, count)
        return True

    def _push_sorted(
        self, readings: Readings, rows: IndexArray, group_rows: IndexArray, codes: NDArray[np.int8]
    ) -> _CompletedWindows:
        """Process readings that are sorted by group, and within a group by increasing event time.

        Parameters
        ----------
        readings : the batch.
        rows : indices in the batch of the readings to process (reading,).
        group_rows : row in the history of each of them (reading,).
        codes : receives their outcome codes, at `rows` (batch,).
        """
        batch = self._prepend_history(group_rows, readings.ts[rows], readings.values[rows])
        self._assign_outcomes(batch)
        self._save_history(batch)
        if self._has_arrival_ts:
            is_arrival_ts = readings.is_arrival_ts
            self._history.ts_origin[batch.group_rows] = (
                OWN_TS
                if is_arrival_ts is None
                else np.where(is_arrival_ts[rows[batch.last_readings]], ARRIVAL_TS, OWN_TS)
            )
        codes[rows] = batch.outcome_codes
        judged = np.flatnonzero(batch.outcome_codes == _JUDGED)
        judged = judged[np.argsort(rows[judged])]  # back in the order of arrival
        positions = batch.window_positions[judged]  # (window, step)
        return rows[judged], batch.ts[positions], batch.values[positions]

    def _prepend_history(self, group_rows: IndexArray, ts: FloatArray, values: FloatArray) -> _SortedBatch:
        """Prepend the stored readings of each group to its new ones, which are sorted by group (reading,)."""
        steps, count = self._steps, len(group_rows)
        starts = np.ones(count, dtype=np.bool_)
        starts[1:] = group_rows[1:] != group_rows[:-1]
        firsts = np.flatnonzero(starts)
        unique_rows = group_rows[firsts]
        positions = np.arange(count) + steps * np.cumsum(starts)  # (reading,)
        history_positions = (positions[firsts] - steps)[:, None] + np.arange(steps)  # (group, step)
        length = count + steps * len(unique_rows) + 1  # 1 for `_NO_POSITION`
        batch_ts = np.full(length, NO_TS)
        batch_ts[positions] = ts
        batch_ts[history_positions] = self._history.ts[unique_rows]
        batch_values = np.zeros((length, self._features))
        batch_values[positions] = values
        batch_values[history_positions] = self._history.values[unique_rows]
        return _SortedBatch(
            group_rows=unique_rows,
            first_readings=firsts,
            last_readings=np.append(firsts[1:], count)[: len(firsts)] - 1,
            ts=batch_ts,
            values=batch_values,
            window_positions=positions[:, None] + np.arange(1 - steps, 1),
            outcome_codes=np.empty(count, dtype=np.int8),
            stride_phases=self._history.stride_phase[unique_rows],
        )

    def _flag_out_of_order(
        self, group_rows: IndexArray, ts: FloatArray, arrived_at: FloatArray
    ) -> NDArray[np.bool_]:
        """Flag all readings of silent groups, and of groups whose event times do not strictly increase.

        Also those of groups with an event time after a gap, and ahead of the clock.

        Parameters
        ----------
        group_rows : row in the history of each reading, sorted (reading,).
        ts, arrived_at : event times and arrivals (reading,).
        """
        starts = np.ones(len(group_rows), dtype=np.bool_)  # (reading,)
        starts[1:] = group_rows[1:] != group_rows[:-1]
        firsts = np.flatnonzero(starts)
        previous_ts = np.empty(len(ts))  # (reading,)
        previous_ts[1:] = ts[:-1]
        previous_ts[firsts] = self._history.ts[group_rows[firsts], -1]
        is_suspect = (ts <= previous_ts) | ((ts - previous_ts > self._max_gap) & (ts > arrived_at))
        is_out_of_order = (
            np.logical_or.reduceat(is_suspect, firsts) | self._history.is_silent[group_rows[firsts]]
        )  # (group,)
        flags: NDArray[np.bool_] = is_out_of_order[np.cumsum(starts) - 1]
        return flags

    def _assign_outcomes(self, batch: _SortedBatch) -> None:
        """Set the outcome codes, and `_NO_POSITION` for readings before a gap in `window_positions`."""
        positions = batch.window_positions  # (reading, step)
        gaps = batch.ts[positions[:, -1]] - batch.ts[positions[:, -1] - 1] > self._max_gap  # (reading,)
        is_restart = np.zeros(len(batch.ts), dtype=np.bool_)  # (position,)
        is_restart[positions[gaps, -1]] = True
        for step in range(self._steps - 1, 0, -1):  # a window has no readings from before a restart
            is_missing = is_restart[positions[:, step]] | (positions[:, step] == _NO_POSITION)
            positions[is_missing, step - 1] = _NO_POSITION
        complete = batch.ts[positions[:, 0]] > NO_TS  # (reading,)
        gaps &= batch.ts[positions[:, -1] - 1] > NO_TS  # a group's first reading is not after a gap
        batch.outcome_codes[:] = np.where(complete, _JUDGED, np.where(gaps, _GAP, _FILLING))
        if self._stride > 1:
            self._apply_stride(batch, complete, gaps)

    def _apply_stride(
        self, batch: _SortedBatch, complete: NDArray[np.bool_], gaps: NDArray[np.bool_]
    ) -> None:
        """Set the outcome `skipped` for all but the first and then every stride-th window after a restart.

        Parameters
        ----------
        complete : readings that complete a window (reading,).
        gaps : readings after a gap (reading,).
        """
        starts = gaps.copy()
        starts[batch.first_readings] = True
        run_starts = np.flatnonzero(starts)  # (run,)
        phases = np.zeros(len(starts), dtype=np.int64)
        phases[batch.first_readings] = np.where(gaps[batch.first_readings], 0, batch.stride_phases)
        totals = np.cumsum(complete)
        offsets = phases[run_starts] - totals[run_starts] + complete[run_starts]  # (run,)
        numbers = totals + offsets[np.cumsum(starts) - 1]  # of the windows within a run, from 1: (reading,)
        batch.outcome_codes[complete & ((numbers - 1) % self._stride != 0)] = _SKIPPED
        batch.stride_phases[:] = numbers[batch.last_readings] % self._stride

    def _save_history(self, batch: _SortedBatch) -> None:
        """Store the last readings and the stride phase of each group."""
        history, positions = self._history, batch.window_positions[batch.last_readings]  # (group, step)
        history.ts[batch.group_rows] = batch.ts[positions]
        history.values[batch.group_rows] = batch.values[positions]
        history.stride_phase[batch.group_rows] = batch.stride_phases

    def groups(self) -> list[str]:
        """Return the names of all groups with stored readings."""
        return self._history.names()

    def dump(self, group: str) -> bytes:
        """Return a group's stored readings as bytes for `load`; an unknown group is dumped as new."""
        return self._history.dump(group)

    def load(self, group: str, value: bytes) -> None:
        """Set a group's stored readings from bytes that `dump` returned, here or in another instance.

        Raises
        ------
        ValueError : the value is damaged, of another version or of another shape.
        """
        self._history.load(group, value)

    def mark_silent(self, group: str) -> None:
        """Mark a group as silent: its next reading restarts the window, whatever its event time."""
        row = self._history.add(group)  # an expected group falls silent without ever having had a reading
        self._history.is_silent[row] = True

    def restart_arrival_times(self) -> list[str]:
        """Let the next reading restart the window of each group whose event time is an arrival time.

        To be called when the wall clock was set, before the first reading that arrived after that. Returns
        the groups.
        """
        history = self._history
        rows = np.flatnonzero(history.ts_origin == ARRIVAL_TS)
        history.is_silent[rows] = True
        return [history.name(row) for row in rows.tolist()]

    def forget(self, group: str) -> None:
        """Remove a group's stored readings."""
        self._history.forget(group)


def _merge_windows(first: _CompletedWindows, second: _CompletedWindows) -> _CompletedWindows:
    """Return the windows of both in the order of arrival."""
    order = np.argsort(np.append(first[0], second[0]))
    rows, ts, values = (np.concatenate(pair)[order] for pair in zip(first, second, strict=True))
    return rows, ts, values
