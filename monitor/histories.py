"""What each group sent last, in an array with a record for each: the memory of the window stage."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from monitor.records import FloatArray

__all__ = ["NEVER", "Histories", "IndexArray"]

IndexArray = NDArray[np.intp]

NEVER = -np.inf
"""In the place of the event time of a reading that isn't there."""

_VERSION = 2
_SMALLEST = 1024  # records
_HEAD = 6  # bytes that tell version and shape


class Histories:
    """Finds each group's record, and makes room for more: `find` may put others in the arrays' place.

    Parameters
    ----------
    steps : readings that are kept of a group.
    features : values in a reading.
    """

    def __init__(self, steps: int, features: int) -> None:
        # A group's record is its `dump`, byte for byte, so that saving thousands a second costs little.
        kind = np.dtype(
            [
                ("version", "<u2"),
                ("steps", "<u2"),
                ("features", "<u2"),
                ("rests", "?"),
                ("phase", "<i8"),
                ("ts", "<f8", (steps,)),
                ("values", "<f8", (steps, features)),
            ],
            align=True,
        )
        self._blank = np.zeros((), dtype=kind)
        self._blank["version"], self._blank["steps"], self._blank["features"] = _VERSION, steps, features
        self._blank["ts"] = NEVER
        self._rows: dict[str, int] = {}
        self._free: list[int] = []
        self._records = np.empty(0, dtype=kind)
        self._show()

    def _show(self) -> None:
        records = self._records
        self.ts: FloatArray = records["ts"]
        """Event times, oldest first, behind as many `NEVER` as are missing: (row, step)."""
        self.values: FloatArray = records["values"]
        """(row, step, feature)"""
        self.phase: NDArray[np.int64] = records["phase"]
        """Complete windows since the last fresh start, modulo stride: (row,)."""
        self.rests: NDArray[np.bool_] = records["rests"]
        """Whether the group is silent, so that whatever comes new is a fresh start: (row,)."""

    def names(self) -> list[str]:
        """Return the names of all groups."""
        return list(self._rows)

    def row(self, name: str) -> int | None:
        """Return where a group's record is, None where it has none."""
        return self._rows.get(name)

    def find(self, names: Iterable[str]) -> IndexArray:
        """Return where each group's record is, an empty one where it is new: (name,)."""
        rows = self._rows
        found = [rows[name] if name in rows else self._add(name) for name in names]
        return np.array(found, dtype=np.intp)

    def dump(self, name: str) -> bytes:
        """Return a group's record as a value; an empty one where it has none."""
        row = self._rows.get(name)
        return (self._blank if row is None else self._records[row]).tobytes()

    def load(self, name: str, value: bytes) -> None:
        """Put back what `dump` returned.

        Raises
        ------
        ValueError : the value is damaged, of another version or of another shape.
        """
        blank = self._blank
        if len(value) < _HEAD:
            raise ValueError(f"window state of {name!r} has {len(value)} bytes, expected more")
        version, steps, features = np.frombuffer(value, "<u2", 3).tolist()
        if (version, steps, features) != (blank["version"], blank["steps"], blank["features"]):
            raise ValueError(
                f"window state of {name!r} is version {version} with {steps} x {features} values; "
                f"expected version {_VERSION} with {blank['steps']} x {blank['features']}"
            )
        if len(value) != blank.nbytes:
            raise ValueError(f"window state of {name!r} has {len(value)} bytes, expected {blank.nbytes}")
        row = int(self.find([name])[0])  # before the records are taken hold of
        self._records[row] = np.frombuffer(value, blank.dtype)[0]

    def forget(self, name: str) -> None:
        """Drop a group."""
        row = self._rows.pop(name, None)
        if row is not None:
            self._records[row] = self._blank
            self._free.append(row)

    def _add(self, name: str) -> int:
        if not self._free:
            self._grow()
        row = self._rows[name] = self._free.pop()
        return row

    def _grow(self) -> None:
        before = len(self._records)
        after = max(_SMALLEST, 2 * before)
        records = np.full(after, self._blank)
        records[:before] = self._records
        self._records = records
        self._show()
        self._free.extend(range(after - 1, before - 1, -1))
