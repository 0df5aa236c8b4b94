"""What each group sent last, in an array with a record for each: the memory of the window stage."""

import numpy as np
from numpy.typing import NDArray

from monitor.records import FloatArray
from monitor.rows import Rows

__all__ = ["NEVER", "Histories"]

NEVER = -np.inf
"""In the place of the event time of a reading that isn't there."""

_VERSION = 2
_HEAD = 6  # bytes that tell version and shape


class Histories(Rows):
    """What is kept of each group; `find` may put other arrays in these ones' place.

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
        blank = np.zeros((), dtype=kind)
        blank["version"], blank["steps"], blank["features"] = _VERSION, steps, features
        blank["ts"] = NEVER
        super().__init__(blank)
        self._show()

    def _show(self) -> None:
        records = self.records
        self.ts: FloatArray = records["ts"]
        """Event times, oldest first, behind as many `NEVER` as are missing: (row, step)."""
        self.values: FloatArray = records["values"]
        """(row, step, feature)"""
        self.phase: NDArray[np.int64] = records["phase"]
        """Complete windows since the last fresh start, modulo stride: (row,)."""
        self.rests: NDArray[np.bool_] = records["rests"]
        """Whether the group is silent, so that whatever comes new is a fresh start: (row,)."""

    def clear(self, row: int) -> None:
        """Let a group begin afresh."""
        self.records[row] = self._blank

    def dump(self, name: str) -> bytes:
        """Return a group's record as a value; an empty one where it has none."""
        row = self.row(name)
        return (self._blank if row is None else self.records[row]).tobytes()

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
        self.records[row] = np.frombuffer(value, blank.dtype)[0]

    def _grow(self) -> None:
        super()._grow()
        self._show()
