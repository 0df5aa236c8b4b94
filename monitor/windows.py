"""Readings -> windows: what each group sent last, and whether a reading continues it."""

import struct
from collections.abc import Sequence

import numpy as np

from monitor.records import Outcome, Readings, Windows

__all__ = ["WindowStage"]

# version, steps held, features, stride phase, whether it rests
_HEADER = struct.Struct("<BHHI?")
_VERSION = 1


class _Group:
    """The newest readings of one group, oldest first, at most one window of them."""

    __slots__ = ("phase", "rests", "rows", "ts")

    def __init__(self) -> None:
        self.rests = False  # silent: whatever comes new is a fresh start
        self.ts: list[float] = []
        self.rows: list[Sequence[float]] = []
        self.phase = 0  # complete windows since the last fresh start, modulo stride

    def restart(self) -> None:
        self.ts.clear()
        self.rows.clear()
        self.phase = 0
        self.rests = False


class WindowStage:
    """Keeps the newest readings of every group and cuts them into windows.

    Parameters
    ----------
    steps : readings in a window, from the bundle.
    features : values in a reading, from the bundle.
    max_gap : seconds of event time between two readings beyond which the window starts afresh.
    max_skew : seconds that a reading's event time may lie ahead of its arrival.
    stride : every how many readings a complete window is judged; the others are `skipped`.
    """

    def __init__(
        self, steps: int, features: int, *, max_gap: float, max_skew: float = 60.0, stride: int = 1
    ) -> None:
        self._steps = steps
        self._features = features
        self._max_gap = max_gap
        self._max_skew = max_skew
        self._stride = stride
        self._groups: dict[str, _Group] = {}

    def push(self, readings: Readings) -> Windows:
        """Take a batch of readings in; return the windows they completed and each reading's outcome."""
        steps = self._steps
        outcomes: list[Outcome] = []
        rows: list[int] = []
        window_ts: list[list[float]] = []
        window_values: list[list[Sequence[float]]] = []
        columns = zip(
            readings.groups,
            readings.ts.tolist(),
            readings.values.tolist(),
            (readings.arrived_at + self._max_skew).tolist(),
            readings.redelivered.tolist(),
            strict=True,
        )
        for row, (name, ts, values, latest, again) in enumerate(columns):
            group = self._groups.get(name)
            if ts > latest:
                outcomes.append(Outcome.FUTURE)
                continue
            if group is None:
                group = self._groups[name] = _Group()
            outcome = self._accept(group, ts, values, again=again)
            outcomes.append(outcome)
            if outcome is Outcome.JUDGED:
                rows.append(row)
                window_ts.append(group.ts.copy())
                window_values.append(group.rows.copy())
        shape = (len(rows), steps)
        return Windows(
            outcomes=outcomes,
            rows=np.array(rows, dtype=np.intp),
            ts=np.array(window_ts, dtype=np.float64).reshape(shape),
            values=np.array(window_values, dtype=np.float64).reshape(*shape, self._features),
        )

    def _accept(self, group: _Group, ts: float, values: Sequence[float], *, again: bool) -> Outcome:
        """Append one reading to its group, or say why not."""
        fresh = Outcome.FILLING
        # What the broker sends again may have been judged before the silence, so its time still tells.
        if group.rests and not (again and ts <= group.ts[-1]):
            group.restart()
        if group.ts:
            last = group.ts[-1]
            if ts == last:
                return Outcome.DUPLICATE
            if ts < last:
                return Outcome.LATE
            if ts - last > self._max_gap:
                group.restart()
                fresh = Outcome.GAP
        group.ts.append(ts)
        group.rows.append(values)
        if len(group.ts) < self._steps:
            return fresh
        if len(group.ts) > self._steps:
            del group.ts[0], group.rows[0]
        phase = group.phase
        group.phase = (phase + 1) % self._stride
        return Outcome.JUDGED if phase == 0 else Outcome.SKIPPED

    def groups(self) -> list[str]:
        """Return the names of all groups that have state here."""
        return list(self._groups)

    def dump(self, group: str) -> bytes:
        """Return what is kept for a group, if anything, as a value that `load` takes."""
        state = self._groups.get(group, _Group())
        header = _HEADER.pack(_VERSION, len(state.ts), self._features, state.phase, state.rests)
        return header + np.array(state.ts).tobytes() + np.array(state.rows).tobytes()

    def load(self, group: str, value: bytes) -> None:
        """Put back what `dump` returned, here or in another instance.

        Raises
        ------
        ValueError : the value is damaged, of another version or of another shape.
        """
        if len(value) < _HEADER.size:
            raise ValueError(f"window state of {group!r} has {len(value)} bytes, expected more")
        version, held, features, phase, rests = _HEADER.unpack_from(value)
        if version != _VERSION or features != self._features or held > self._steps:
            raise ValueError(
                f"window state of {group!r} is version {version} with {held} x {features} values; "
                f"expected version {_VERSION} with at most {self._steps} x {self._features}"
            )
        if len(value) != _HEADER.size + 8 * held * (1 + features):
            raise ValueError(f"window state of {group!r} has {len(value)} bytes, not what its header says")
        numbers = np.frombuffer(value, dtype=np.float64, offset=_HEADER.size)
        state = _Group()
        state.ts = numbers[:held].tolist()
        state.rows = list(numbers[held:].reshape(held, features).tolist())
        state.phase, state.rests = phase, rests
        self._groups[group] = state

    def rest(self, group: str) -> None:
        """Let a group that fell silent start afresh with its next reading, whatever its event time."""
        state = self._groups.get(group)
        if state is not None and state.ts:
            state.rests = True

    def forget(self, group: str) -> None:
        """Drop a group."""
        self._groups.pop(group, None)
