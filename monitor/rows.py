"""A record for each group, in one array that grows with them."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["IndexArray", "Rows"]

IndexArray = NDArray[np.intp]

_SMALLEST = 1024  # records


class Rows:
    """Finds each group's record, and makes room for more: `find` may put another array in `records`' place.

    Parameters
    ----------
    blank : the record of a group that nothing is known of.
    """

    def __init__(self, blank: NDArray[Any]) -> None:
        self._blank = blank
        self._rows: dict[str, int] = {}
        self._names: list[str] = []  # (row,)
        self._free: list[int] = []
        self.records = np.empty(0, dtype=blank.dtype)
        """(row,)"""

    def __contains__(self, name: str) -> bool:
        """Say whether a group has a record."""
        return name in self._rows

    def __len__(self) -> int:
        """Return how many groups have one."""
        return len(self._rows)

    def names(self) -> list[str]:
        """Return the names of all groups."""
        return list(self._rows)

    def name(self, row: int) -> str:
        """Return whose record this is."""
        return self._names[row]

    def row(self, name: str) -> int | None:
        """Return where a group's record is, None where it has none."""
        return self._rows.get(name)

    def find(self, names: Iterable[str]) -> IndexArray:
        """Return where each group's record is, a blank one where it is new: (name,)."""
        rows, add = self._rows, self.add
        return np.array([rows[name] if name in rows else add(name) for name in names], dtype=np.intp)

    def add(self, name: str) -> int:
        """Return where a group's record is, a blank one where it is new."""
        row = self._rows.get(name)
        if row is None:
            if not self._free:
                self._grow()
            row = self._rows[name] = self._free.pop()
            self._names[row] = name
        return row

    def forget(self, name: str) -> None:
        """Drop a group."""
        row = self._rows.pop(name, None)
        if row is not None:
            self.records[row] = self._blank
            self._names[row] = ""
            self._free.append(row)

    def _grow(self) -> None:
        before = len(self.records)
        after = max(_SMALLEST, 2 * before)
        records = np.zeros(after, self._blank.dtype)  # its padding too: a record is dumped whole
        records[:] = self._blank
        records[:before] = self.records
        self.records = records
        self._names.extend([""] * (after - before))
        self._free.extend(range(after - 1, before - 1, -1))
