"""What is known of each group's normal: the memory of the baseline stage."""

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.state_table import Grouped
from monitor.detect.baseline.learning import BLOCKS, COARSEST, WINDOWS

__all__ = ["Normals"]


class Normals(Grouped):
    """What is kept of each group; `find` may put other arrays in these ones' place.

    Parameters
    ----------
    version : of the rules.
    features : values in a reading.
    told : how many of them tell all that there is to know of how far they stand apart.
    """

    def __init__(self, version: int, features: int, told: int) -> None:
        fields = [
            ("held", "?", (told,)),  # whether they came apart and haven't come back
            ("seen", "<u4"),
            ("full", "<u4"),
            ("open", "<f4", (WINDOWS, features)),
            ("ring", "<f4", (BLOCKS, told)),  # how far sensors stood apart in the last blocks
            ("usual", "<f4", (told,)),  # how far they stray from that at rest
            ("normal", "<f4", (3, features)),
            ("coarse", "u1", (features,)),
        ]
        super().__init__("baseline", (version, features, BLOCKS), fields, {"coarse": COARSEST})

    def _show(self) -> None:
        super()._show()
        records = self.records
        self.seen: NDArray[np.uint32] = records["seen"]
        """Windows: (row,)."""
        self.full: NDArray[np.uint32] = records["full"]
        """Which block is full and isn't learnt yet, from 1 on; 0 where none is: (row,)."""
        self.open: FloatArray = records["open"]
        """Medians of the windows of the block: (row, window, feature)."""
        self.normal: FloatArray = records["normal"]
        """How far sensors stand apart, units, and the last block: (row, 3, feature)."""
        self.coarse: NDArray[np.uint8] = records["coarse"]
        """In which of the coarse steps they report: (row, feature)."""
