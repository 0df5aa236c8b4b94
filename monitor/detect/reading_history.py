"""What each group sent last: the memory of the window stage."""

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.state_table import Grouped

__all__ = ["NEVER", "Histories"]

NEVER = -np.inf
"""In the place of the event time of a reading that isn't there."""

_VERSION = 2


class Histories(Grouped):
    """What is kept of each group; `find` may put other arrays in these ones' place.

    Parameters
    ----------
    steps : readings that are kept of a group.
    features : values in a reading.
    """

    def __init__(self, steps: int, features: int) -> None:
        fields = [
            ("rests", "?"),
            ("phase", "<i8"),
            ("ts", "<f8", (steps,)),
            ("values", "<f8", (steps, features)),
        ]
        super().__init__("window", (_VERSION, steps, features), fields, {"ts": NEVER})

    def _show(self) -> None:
        super()._show()
        records = self.records
        self.ts: FloatArray = records["ts"]
        """Event times, oldest first, behind as many `NEVER` as are missing: (row, step)."""
        self.values: FloatArray = records["values"]
        """(row, step, feature)"""
        self.phase: NDArray[np.int64] = records["phase"]
        """Complete windows since the last fresh start, modulo stride: (row,)."""
        self.rests: NDArray[np.bool_] = records["rests"]
        """Whether the group is silent, so that whatever comes new is a fresh start: (row,)."""
