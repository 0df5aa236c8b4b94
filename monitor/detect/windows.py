"""Readings -> windows: what each group sent last, and whether a reading continues it.

A batch is taken in at once: its readings stand in one line, group by group, each group's behind those that
it sent last, so that every window is a piece of the line. Where all readings of a group follow one another,
which is nearly always, no reading is looked at by itself. A reading that comes alone is, and needs no line.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.readings import Outcome, Readings, Windows
from monitor.core.rules import WindowRules
from monitor.detect.reading_history import NO_TS, ReadingHistory

__all__ = ["WindowStage"]

_OUTCOMES = (
    Outcome.FILLING,
    Outcome.JUDGED,
    Outcome.SKIPPED,
    Outcome.DUPLICATE,
    Outcome.LATE,
    Outcome.GAP,
    Outcome.FUTURE,
)
_FILLING, _JUDGED, _SKIPPED, _DUPLICATE, _LATE, _GAP, _FUTURE = range(len(_OUTCOMES))
# The place in a line of a reading that isn't there.
_NO_POSITION = -1
# Readings of a batch up to which they are looked at one by one: a line costs 60 µs however short it is, and a
# reading by itself 7.
_MAX_READINGS_ONE_BY_ONE = 8


@dataclass(frozen=True, slots=True)
class _SortedBatch:
    """A batch's readings by group, each group's behind those that are kept of it."""

    group_rows: IndexArray
    """Each group's row in the histories: (group,)."""
    first_readings: IndexArray
    """Each group's first new reading: (group,)."""
    last_readings: IndexArray
    """Each group's last new reading: (group,)."""
    ts: FloatArray
    """(place,)"""
    values: FloatArray
    """(place, feature)"""
    window_positions: IndexArray
    """The places of the window that ends with each new reading: (reading, step)."""
    outcome_codes: NDArray[np.int8]
    """What became of each new reading: (reading,)."""
    stride_phases: NDArray[np.int64]
    """Each group's, afterwards: (group,)."""


_CompletedWindows = tuple[IndexArray, FloatArray, FloatArray]
"""The readings that completed a window each (window,), and these windows' event times and values."""


class WindowStage:
    """Keeps the newest readings of every group and cuts them into windows.

    Parameters
    ----------
    steps : readings in a window, from the bundle.
    features : values in a reading, from the bundle.
    rules : when a window starts afresh, which readings come from the future, and which windows are judged.
    """

    def __init__(self, steps: int, features: int, rules: WindowRules) -> None:
        self._steps = steps
        self._features = features
        self._max_gap = rules.max_gap
        self._max_skew = rules.max_skew
        self._stride = rules.stride
        self._history = ReadingHistory(steps, features)

    def push(self, readings: Readings) -> Windows:
        """Take a batch of readings in; return the windows they completed and each reading's outcome."""
        if len(readings.ts) <= _MAX_READINGS_ONE_BY_ONE:
            codes_one_by_one, (judged, ts, values) = self._push_each(readings, range(len(readings.ts)))
            return Windows([_OUTCOMES[code] for code in codes_one_by_one], judged, ts, values)
        codes = np.full(len(readings.ts), _FUTURE, dtype=np.int8)  # (reading,)
        rows = np.flatnonzero(readings.ts <= readings.arrived_at + self._max_skew)
        group_rows = self._history.find_or_add([readings.groups[row] for row in rows.tolist()])
        order = np.argsort(group_rows, kind="stable")
        rows, group_rows = rows[order], group_rows[order]  # by group, and by arrival within it
        out_of_order = self._flag_out_of_order(group_rows, readings.ts[rows])
        windows = self._push_sorted(readings, rows[~out_of_order], group_rows[~out_of_order], codes)
        if out_of_order.any():
            out_of_order_rows = rows[out_of_order]
            codes[out_of_order_rows], others = self._push_each(readings, out_of_order_rows.tolist())
            windows = _merge_windows(windows, others)
        judged, ts, values = windows
        return Windows([_OUTCOMES[code] for code in codes.tolist()], judged, ts, values)

    def _push_each(self, readings: Readings, rows: Sequence[int]) -> tuple[list[int], _CompletedWindows]:
        """Take readings in as they come; return what became of them, and their windows."""
        codes, judged, ts, values = [], [], [], []
        for row in rows:
            code, event_ts = _FUTURE, float(readings.ts[row])
            if event_ts <= readings.arrived_at[row] + self._max_skew:
                group = self._history.add(readings.groups[row])
                redelivered = bool(readings.redelivered[row])
                code = self._push_reading(group, event_ts, readings.values[row], redelivered=redelivered)
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

    def _push_reading(self, row: int, ts: float, values: FloatArray, *, redelivered: bool) -> int:
        """Take one reading in, which the broker may have sent before if `redelivered`; return what became of it."""
        history = self._history
        group_ts = history.ts[row]  # (step,)
        last_ts = float(group_ts[-1])
        # What the broker sends again may have been judged before the silence, so its time still tells.
        if history.is_silent[row] and not (redelivered and ts <= last_ts):
            history.clear(row)
            last_ts = NO_TS
        if ts <= last_ts:
            return _LATE if ts < last_ts else _DUPLICATE
        code = _FILLING
        if last_ts > NO_TS and ts - last_ts > self._max_gap:
            history.clear(row)
            code = _GAP
        group_ts[:-1], group_ts[-1] = group_ts[1:], ts
        history.values[row, :-1] = history.values[row, 1:]
        history.values[row, -1] = values
        if group_ts[0] > NO_TS:
            phase = int(history.stride_phase[row])
            history.stride_phase[row] = (phase + 1) % self._stride
            code = _SKIPPED if phase else _JUDGED
        return code

    def _push_sorted(
        self, readings: Readings, rows: IndexArray, group_rows: IndexArray, codes: NDArray[np.int8]
    ) -> _CompletedWindows:
        """Take in readings, by group, each of which is after the one before; say what became of them."""
        batch = self._prepend_history(group_rows, readings.ts[rows], readings.values[rows])
        self._assign_outcomes(batch)
        self._save_history(batch)
        codes[rows] = batch.outcome_codes
        judged = np.flatnonzero(batch.outcome_codes == _JUDGED)
        judged = judged[np.argsort(rows[judged])]  # in the order of arrival again
        positions = batch.window_positions[judged]  # (window, step)
        return rows[judged], batch.ts[positions], batch.values[positions]

    def _prepend_history(self, group_rows: IndexArray, ts: FloatArray, values: FloatArray) -> _SortedBatch:
        """Put readings that are sorted by group into a line."""
        steps, count = self._steps, len(group_rows)
        starts = np.ones(count, dtype=np.bool_)
        starts[1:] = group_rows[1:] != group_rows[:-1]
        firsts = np.flatnonzero(starts)
        unique_rows = group_rows[firsts]
        positions = np.arange(count) + steps * np.cumsum(starts)  # (reading,)
        history_positions = (positions[firsts] - steps)[:, None] + np.arange(steps)  # (group, step)
        length = count + steps * len(unique_rows) + 1  # the last is a reading that isn't there
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

    def _flag_out_of_order(self, group_rows: IndexArray, ts: FloatArray) -> NDArray[np.bool_]:
        """Flag all readings, by group, of those with one that isn't after the one before, or that rest."""
        starts = np.ones(len(group_rows), dtype=np.bool_)  # (reading,)
        starts[1:] = group_rows[1:] != group_rows[:-1]
        firsts = np.flatnonzero(starts)
        previous_ts = np.empty(len(ts))  # (reading,)
        previous_ts[1:] = ts[:-1]
        previous_ts[firsts] = self._history.ts[group_rows[firsts], -1]
        is_out_of_order = (
            np.logical_or.reduceat(ts <= previous_ts, firsts) | self._history.is_silent[group_rows[firsts]]
        )  # (group,)
        flags: NDArray[np.bool_] = is_out_of_order[np.cumsum(starts) - 1]
        return flags

    def _assign_outcomes(self, batch: _SortedBatch) -> None:
        """Say what became of readings each of which is after the one before."""
        positions = batch.window_positions  # (reading, step)
        gaps = batch.ts[positions[:, -1]] - batch.ts[positions[:, -1] - 1] > self._max_gap  # (reading,)
        is_restart = np.zeros(len(batch.ts), dtype=np.bool_)  # (place,)
        is_restart[positions[gaps, -1]] = True
        for step in range(self._steps - 1, 0, -1):  # before a fresh start there is nothing
            is_missing = is_restart[positions[:, step]] | (positions[:, step] == _NO_POSITION)
            positions[is_missing, step - 1] = _NO_POSITION
        complete = batch.ts[positions[:, 0]] > NO_TS  # (reading,)
        gaps &= batch.ts[positions[:, -1] - 1] > NO_TS  # a group's first reading comes after nothing
        batch.outcome_codes[:] = np.where(complete, _JUDGED, np.where(gaps, _GAP, _FILLING))
        if self._stride > 1:
            self._apply_stride(batch, complete, gaps)

    def _apply_stride(
        self, batch: _SortedBatch, complete: NDArray[np.bool_], gaps: NDArray[np.bool_]
    ) -> None:
        """Judge the first complete window after each fresh start, and every so many after it."""
        starts = gaps.copy()
        starts[batch.first_readings] = True
        run_starts = np.flatnonzero(starts)  # (run,)
        phases = np.zeros(len(starts), dtype=np.int64)
        phases[batch.first_readings] = np.where(gaps[batch.first_readings], 0, batch.stride_phases)
        totals = np.cumsum(complete)
        offsets = phases[run_starts] - totals[run_starts] + complete[run_starts]  # (run,)
        numbers = totals + offsets[np.cumsum(starts) - 1]  # from 1 on, within each run
        batch.outcome_codes[complete & ((numbers - 1) % self._stride != 0)] = _SKIPPED
        batch.stride_phases[:] = numbers[batch.last_readings] % self._stride

    def _save_history(self, batch: _SortedBatch) -> None:
        """Remember each group's newest readings."""
        history, positions = self._history, batch.window_positions[batch.last_readings]  # (group, step)
        history.ts[batch.group_rows] = batch.ts[positions]
        history.values[batch.group_rows] = batch.values[positions]
        history.stride_phase[batch.group_rows] = batch.stride_phases

    def groups(self) -> list[str]:
        """Return the names of all groups that have state here."""
        return self._history.names()

    def dump(self, group: str) -> bytes:
        """Return what is kept for a group, if anything, as a value that `load` takes."""
        return self._history.dump(group)

    def load(self, group: str, value: bytes) -> None:
        """Put back what `dump` returned, here or in another instance.

        Raises
        ------
        ValueError : the value is damaged, of another version or of another shape.
        """
        self._history.load(group, value)

    def mark_silent(self, group: str) -> None:
        """Let a group that fell silent start afresh with its next reading, whatever its event time."""
        row = self._history.row(group)
        if row is not None:
            self._history.is_silent[row] = True

    def forget(self, group: str) -> None:
        """Drop a group."""
        self._history.forget(group)


def _merge_windows(first: _CompletedWindows, second: _CompletedWindows) -> _CompletedWindows:
    """Return the windows of both in the order of their readings' arrival."""
    order = np.argsort(np.append(first[0], second[0]))
    rows, ts, values = (np.concatenate(pair)[order] for pair in zip(first, second, strict=True))
    return rows, ts, values
