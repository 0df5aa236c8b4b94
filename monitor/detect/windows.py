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
from monitor.detect.reading_history import NEVER, Histories

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
_NOWHERE = -1
# Readings of a batch up to which they are looked at one by one: a line costs 60 µs however short it is, and a
# reading by itself 7.
_FEW = 8


@dataclass(frozen=True, slots=True)
class _Line:
    """A batch's readings by group, each group's behind those that are kept of it."""

    groups: IndexArray
    """Each group's row in the histories: (group,)."""
    firsts: IndexArray
    """Each group's first new reading: (group,)."""
    lasts: IndexArray
    """Each group's last new reading: (group,)."""
    ts: FloatArray
    """(place,)"""
    values: FloatArray
    """(place, feature)"""
    pieces: IndexArray
    """The places of the window that ends with each new reading: (reading, step)."""
    codes: NDArray[np.int8]
    """What became of each new reading: (reading,)."""
    phases: NDArray[np.int64]
    """Each group's, afterwards: (group,)."""


_Judged = tuple[IndexArray, FloatArray, FloatArray]
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
        self._kept = Histories(steps, features)

    def push(self, readings: Readings) -> Windows:
        """Take a batch of readings in; return the windows they completed and each reading's outcome."""
        if len(readings.ts) <= _FEW:
            few, (judged, ts, values) = self._one_by_one(readings, range(len(readings.ts)))
            return Windows([_OUTCOMES[code] for code in few], judged, ts, values)
        codes = np.full(len(readings.ts), _FUTURE, dtype=np.int8)  # (reading,)
        rows = np.flatnonzero(readings.ts <= readings.arrived_at + self._max_skew)
        found = self._kept.find([readings.groups[row] for row in rows.tolist()])
        order = np.argsort(found, kind="stable")
        rows, found = rows[order], found[order]  # by group, and by arrival within it
        strays = self._strays(found, readings.ts[rows])
        windows = self._in_line(readings, rows[~strays], found[~strays], codes)
        if strays.any():
            apart = rows[strays]
            codes[apart], others = self._one_by_one(readings, apart.tolist())
            windows = _joined(windows, others)
        judged, ts, values = windows
        return Windows([_OUTCOMES[code] for code in codes.tolist()], judged, ts, values)

    def _one_by_one(self, readings: Readings, rows: Sequence[int]) -> tuple[list[int], _Judged]:
        """Take readings in as they come; return what became of them, and their windows."""
        codes, judged, ts, values = [], [], [], []
        for row in rows:
            code, moment = _FUTURE, float(readings.ts[row])
            if moment <= readings.arrived_at[row] + self._max_skew:
                group = self._kept.add(readings.groups[row])
                again = bool(readings.redelivered[row])
                code = self._take(group, moment, readings.values[row], again=again)
            codes.append(code)
            if code == _JUDGED:
                judged.append(row)
                ts.append(self._kept.ts[group].copy())
                values.append(self._kept.values[group].copy())
        return codes, (
            np.array(judged, dtype=np.intp),
            np.array(ts).reshape(-1, self._steps),
            np.array(values).reshape(-1, self._steps, self._features),
        )

    def _take(self, group: int, ts: float, values: FloatArray, *, again: bool) -> int:
        """Take one reading in, which the broker may have sent before if `again`; return what became of it."""
        kept = self._kept
        own = kept.ts[group]  # (step,)
        last = float(own[-1])
        # What the broker sends again may have been judged before the silence, so its time still tells.
        if kept.rests[group] and not (again and ts <= last):
            kept.clear(group)
            last = NEVER
        if ts <= last:
            return _LATE if ts < last else _DUPLICATE
        code = _FILLING
        if last > NEVER and ts - last > self._max_gap:
            kept.clear(group)
            code = _GAP
        own[:-1], own[-1] = own[1:], ts
        kept.values[group, :-1] = kept.values[group, 1:]
        kept.values[group, -1] = values
        if own[0] > NEVER:
            phase = int(kept.phase[group])
            kept.phase[group] = (phase + 1) % self._stride
            code = _SKIPPED if phase else _JUDGED
        return code

    def _in_line(
        self, readings: Readings, rows: IndexArray, found: IndexArray, codes: NDArray[np.int8]
    ) -> _Judged:
        """Take in readings, by group, each of which is after the one before; say what became of them."""
        line = self._lay(found, readings.ts[rows], readings.values[rows])
        self._follow(line)
        self._keep(line)
        codes[rows] = line.codes
        judged = np.flatnonzero(line.codes == _JUDGED)
        judged = judged[np.argsort(rows[judged])]  # in the order of arrival again
        pieces = line.pieces[judged]  # (window, step)
        return rows[judged], line.ts[pieces], line.values[pieces]

    def _lay(self, found: IndexArray, ts: FloatArray, values: FloatArray) -> _Line:
        """Put readings that are sorted by group into a line."""
        steps, count = self._steps, len(found)
        starts = np.ones(count, dtype=np.bool_)
        starts[1:] = found[1:] != found[:-1]
        firsts = np.flatnonzero(starts)
        groups = found[firsts]
        places = np.arange(count) + steps * np.cumsum(starts)  # (reading,)
        before = (places[firsts] - steps)[:, None] + np.arange(steps)  # (group, step)
        length = count + steps * len(groups) + 1  # the last is a reading that isn't there
        line_ts = np.full(length, NEVER)
        line_ts[places] = ts
        line_ts[before] = self._kept.ts[groups]
        line_values = np.zeros((length, self._features))
        line_values[places] = values
        line_values[before] = self._kept.values[groups]
        return _Line(
            groups=groups,
            firsts=firsts,
            lasts=np.append(firsts[1:], count)[: len(firsts)] - 1,
            ts=line_ts,
            values=line_values,
            pieces=places[:, None] + np.arange(1 - steps, 1),
            codes=np.empty(count, dtype=np.int8),
            phases=self._kept.phase[groups],
        )

    def _strays(self, found: IndexArray, ts: FloatArray) -> NDArray[np.bool_]:
        """Flag all readings, by group, of those with one that isn't after the one before, or that rest."""
        starts = np.ones(len(found), dtype=np.bool_)  # (reading,)
        starts[1:] = found[1:] != found[:-1]
        firsts = np.flatnonzero(starts)
        before = np.empty(len(ts))  # (reading,)
        before[1:] = ts[:-1]
        before[firsts] = self._kept.ts[found[firsts], -1]
        strays = np.logical_or.reduceat(ts <= before, firsts) | self._kept.rests[found[firsts]]  # (group,)
        flags: NDArray[np.bool_] = strays[np.cumsum(starts) - 1]
        return flags

    def _follow(self, line: _Line) -> None:
        """Say what became of readings each of which is after the one before."""
        pieces = line.pieces  # (reading, step)
        gaps = line.ts[pieces[:, -1]] - line.ts[pieces[:, -1] - 1] > self._max_gap  # (reading,)
        fresh = np.zeros(len(line.ts), dtype=np.bool_)  # (place,)
        fresh[pieces[gaps, -1]] = True
        for step in range(self._steps - 1, 0, -1):  # before a fresh start there is nothing
            lost = fresh[pieces[:, step]] | (pieces[:, step] == _NOWHERE)
            pieces[lost, step - 1] = _NOWHERE
        complete = line.ts[pieces[:, 0]] > NEVER  # (reading,)
        gaps &= line.ts[pieces[:, -1] - 1] > NEVER  # a group's first reading comes after nothing
        line.codes[:] = np.where(complete, _JUDGED, np.where(gaps, _GAP, _FILLING))
        if self._stride > 1:
            self._skip(line, complete, gaps)

    def _skip(self, line: _Line, complete: NDArray[np.bool_], gaps: NDArray[np.bool_]) -> None:
        """Judge the first complete window after each fresh start, and every so many after it."""
        starts = gaps.copy()
        starts[line.firsts] = True
        begins = np.flatnonzero(starts)  # (run,)
        phases = np.zeros(len(starts), dtype=np.int64)
        phases[line.firsts] = np.where(gaps[line.firsts], 0, line.phases)
        totals = np.cumsum(complete)
        offsets = phases[begins] - totals[begins] + complete[begins]  # (run,)
        numbers = totals + offsets[np.cumsum(starts) - 1]  # from 1 on, within each run
        line.codes[complete & ((numbers - 1) % self._stride != 0)] = _SKIPPED
        line.phases[:] = numbers[line.lasts] % self._stride

    def _keep(self, line: _Line) -> None:
        """Remember each group's newest readings."""
        kept, pieces = self._kept, line.pieces[line.lasts]  # (group, step)
        kept.ts[line.groups] = line.ts[pieces]
        kept.values[line.groups] = line.values[pieces]
        kept.phase[line.groups] = line.phases

    def groups(self) -> list[str]:
        """Return the names of all groups that have state here."""
        return self._kept.names()

    def dump(self, group: str) -> bytes:
        """Return what is kept for a group, if anything, as a value that `load` takes."""
        return self._kept.dump(group)

    def load(self, group: str, value: bytes) -> None:
        """Put back what `dump` returned, here or in another instance.

        Raises
        ------
        ValueError : the value is damaged, of another version or of another shape.
        """
        self._kept.load(group, value)

    def rest(self, group: str) -> None:
        """Let a group that fell silent start afresh with its next reading, whatever its event time."""
        row = self._kept.row(group)
        if row is not None:
            self._kept.rests[row] = True

    def forget(self, group: str) -> None:
        """Drop a group."""
        self._kept.forget(group)


def _joined(some: _Judged, others: _Judged) -> _Judged:
    """Return the windows of both in the order of their readings' arrival."""
    order = np.argsort(np.append(some[0], others[0]))
    rows, ts, values = (np.concatenate(both)[order] for both in zip(some, others, strict=True))
    return rows, ts, values
