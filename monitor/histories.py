"""What each group sent last, in arrays with a row for each: the memory of the window stage."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from monitor.records import FloatArray

__all__ = ["NEVER", "Histories", "IndexArray"]

IndexArray = NDArray[np.intp]

NEVER = -np.inf
"""In the place of the event time of a reading that isn't there."""

_SMALLEST = 1024  # rows


class Histories:
    """Finds each group's row, and makes room for more; an array is never taken hold of across `find`.

    Parameters
    ----------
    steps : readings that are kept of a group.
    features : values in a reading.
    """

    def __init__(self, steps: int, features: int) -> None:
        self._rows: dict[str, int] = {}
        self._free: list[int] = []
        self.ts: FloatArray = np.empty((0, steps))
        """Event times, oldest first, behind as many `NEVER` as are missing: (row, step)."""
        self.values: FloatArray = np.empty((0, steps, features))
        """(row, step, feature)"""
        self.phase = np.empty(0, dtype=np.int64)
        """Complete windows since the last fresh start, modulo stride: (row,)."""
        self.rests = np.empty(0, dtype=np.bool_)
        """Whether the group is silent, so that whatever comes new is a fresh start: (row,)."""

    def row(self, name: str) -> int | None:
        """Return a group's row, None where it has none."""
        return self._rows.get(name)

    def names(self) -> list[str]:
        """Return the names of all groups."""
        return list(self._rows)

    def find(self, names: Iterable[str]) -> IndexArray:
        """Return each group's row, an empty one where it is new: (name,)."""
        rows = self._rows
        found = [rows[name] if name in rows else self._add(name) for name in names]
        return np.array(found, dtype=np.intp)

    def forget(self, name: str) -> None:
        """Drop a group."""
        row = self._rows.pop(name, None)
        if row is not None:
            self._clear(row)
            self._free.append(row)

    def _add(self, name: str) -> int:
        if not self._free:
            self._grow()
        row = self._rows[name] = self._free.pop()
        return row

    def _clear(self, row: int) -> None:
        self.ts[row] = NEVER
        self.phase[row] = 0
        self.rests[row] = False

    def _grow(self) -> None:
        """Double the room. In place where it can be, so that the memory isn't needed twice."""
        before = len(self.ts)
        after = max(_SMALLEST, 2 * before)
        for array in (self.ts, self.values, self.phase, self.rests):
            array.resize((after, *array.shape[1:]), refcheck=False)
        self.ts[before:] = NEVER
        self._free.extend(range(after - 1, before - 1, -1))
