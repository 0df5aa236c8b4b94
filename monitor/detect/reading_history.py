"""What each group sent last: the memory of the window stage."""

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.state_table import StateTable

__all__ = ["NO_TS", "ReadingHistory"]

NO_TS = -np.inf
"""In the place of the event time of a reading that isn't there."""

_VERSION = 2


class ReadingHistory(StateTable):
    """What is kept of each group; `find` may put other arrays in these ones' place.

    Parameters
    ----------
    steps : readings that are kept of a group.
    features : values in a reading.
    """

    def __init__(self, steps: int, features: int) -> None:
        fields = [
            ("is_silent", "?"),
            ("stride_phase", "<i8"),
            ("ts", "<f8", (steps,)),
            ("values", "<f8", (steps, features)),
        ]
        super().__init__("window", (_VERSION, steps, features), fields, {"ts": NO_TS})

    def _update_views(self) -> None:
        super()._update_views()
        records = self.records
        self.ts: FloatArray = records["ts"]
        """Event times, oldest first, behind as many `NO_TS` as are missing: (row, step)."""
        self.values: FloatArray = records["values"]
        """(row, step, feature)"""
        self.stride_phase: NDArray[np.int64] = records["stride_phase"]
        """Complete windows since the last fresh start, modulo stride: (row,)."""
        self.is_silent: NDArray[np.bool_] = records["is_silent"]
        """Whether the group is silent, so that whatever comes new is a fresh start: (row,)."""
