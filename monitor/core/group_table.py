"""One NumPy record per group, all in one structured array that grows with the number of groups."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import IndexArray

__all__ = ["GroupTable"]


_ROWS_PER_GROWTH = 1024


class GroupTable:
    """Maps group names to rows of a structured array.

    Adding a group may replace `records` by a larger array, so callers must not keep a reference to it, or to
    a view of it, across `find_or_add` and `add`.

    Parameters
    ----------
    default_record : the record that a new group gets: a zero-dimensional structured array.
    """

    def __init__(self, default_record: NDArray[Any]) -> None:
        self._default_record = default_record
        self._rows: dict[str, int] = {}
        self._names: list[str] = []  # (row,)
        self._free_rows: list[int] = []
        self._buffer = np.empty(0, dtype=default_record.dtype)  # all allocated rows: (allocated row,)
        self.records = self._buffer
        """Records of all groups and of free rows, which are the first part of the allocated rows: (row,)."""

    def __contains__(self, name: str) -> bool:
        """Return whether the group has a record."""
        return name in self._rows

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self._rows)

    def names(self) -> list[str]:
        """Return the names of all groups."""
        return list(self._rows)

    def name(self, row: int) -> str:
        """Return the name of the group that has this row; "" for a free row."""
        return self._names[row]

    def row(self, name: str) -> int | None:
        """Return the group's row, or None if the group has no record."""
        return self._rows.get(name)

    def find_missing(self, names: set[str]) -> set[str]:
        """Return which of the given groups have no record."""
        return names.difference(self._rows)

    def find_or_add(self, names: Sequence[str]) -> IndexArray:
        """Return the row of each group (name,), adding a default record for each group that has none."""
        try:
            return np.fromiter(map(self._rows.__getitem__, names), np.intp, len(names))
        except KeyError:
            return np.array([self.add(name) for name in names], dtype=np.intp)

    def add(self, name: str) -> int:
        """Return the group's row, adding a default record if the group has none."""
        row = self._rows.get(name)
        if row is None:
            if not self._free_rows:
                self._grow()
            row = self._rows[name] = self._free_rows.pop()
            self._names[row] = name
        return row

    def forget(self, name: str) -> None:
        """Remove the group and free its row; an unknown name is ignored."""
        row = self._rows.pop(name, None)
        if row is not None:
            self.records[row] = self._default_record
            self._names[row] = ""
            self._free_rows.append(row)

    def _grow(self) -> None:
        old_size = len(self.records)
        new_size = old_size + _ROWS_PER_GROWTH
        if new_size > len(self._buffer):
            # Double the allocation, because growing copies all records. Rows that were never written take
            # no physical memory: for an array of this size the kernel maps zero pages on first write. If
            # the whole buffer were filled with default records, 100,000 groups would take the memory of
            # 131,072. `zeros` also clears the padding bytes, which `dump` includes in its result.
            buffer = np.zeros(max(new_size, 2 * len(self._buffer)), self._default_record.dtype)
            buffer[:old_size] = self.records
            self._buffer = buffer
        self._buffer[old_size:new_size] = self._default_record
        self.records = self._buffer[:new_size]
        self._names.extend([""] * _ROWS_PER_GROWTH)
        self._free_rows.extend(reversed(_row_numbers(old_size)))


@cache
def _row_numbers(first_row: int) -> tuple[int, ...]:
    """Return the numbers of the rows that one growth adds.

    Cached, so that all tables share the same int objects, which take 32 bytes each.
    """
    return tuple(range(first_row, first_row + _ROWS_PER_GROWTH))
