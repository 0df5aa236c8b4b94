"""A record for each group, in one array that grows with them."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import IndexArray

__all__ = ["GroupTable"]


_ROWS_PER_GROWTH = 1024  # records by which there are more


class GroupTable:
    """Finds each group's record, and makes room for more: `find` may put another array in `records`' place.

    Parameters
    ----------
    default_record : the record of a group that nothing is known of.
    """

    def __init__(self, default_record: NDArray[Any]) -> None:
        self._default_record = default_record
        self._rows: dict[str, int] = {}
        self._names: list[str] = []  # (row,)
        self._free_rows: list[int] = []
        self._buffer = np.empty(
            0, dtype=default_record.dtype
        )  # the array that `records` is the first part of
        self.records = self._buffer
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

    def find_or_add(self, names: Sequence[str]) -> IndexArray:
        """Return where each group's record is, a blank one where it is new: (name,)."""
        try:
            return np.fromiter(map(self._rows.__getitem__, names), np.intp, len(names))
        except KeyError:
            return np.array([self.add(name) for name in names], dtype=np.intp)

    def add(self, name: str) -> int:
        """Return where a group's record is, a blank one where it is new."""
        row = self._rows.get(name)
        if row is None:
            if not self._free_rows:
                self._grow()
            row = self._rows[name] = self._free_rows.pop()
            self._names[row] = name
        return row

    def forget(self, name: str) -> None:
        """Drop a group."""
        row = self._rows.pop(name, None)
        if row is not None:
            self.records[row] = self._default_record
            self._names[row] = ""
            self._free_rows.append(row)

    def _grow(self) -> None:
        old_size = len(self.records)
        new_size = old_size + _ROWS_PER_GROWTH
        if new_size > len(self._buffer):
            # Twice as much, for all of it is moved. What isn't written yet takes no memory where the array is
            # so large that the kernel gives it by the page; full of blanks, 100,000 groups took as much as
            # 131,072. Zeros in its padding too: a record is dumped whole.
            buffer = np.zeros(max(new_size, 2 * len(self._buffer)), self._default_record.dtype)
            buffer[:old_size] = self.records
            self._buffer = buffer
        self._buffer[old_size:new_size] = self._default_record
        self.records = self._buffer[:new_size]
        self._names.extend([""] * _ROWS_PER_GROWTH)
        self._free_rows.extend(reversed(_row_numbers(old_size)))


@cache
def _row_numbers(first_row: int) -> tuple[int, ...]:
    """Return the numbers of the rows that a step adds, the same objects for all stages: 32 bytes each."""
    return tuple(range(first_row, first_row + _ROWS_PER_GROWTH))
