"""What is known of each group's normal: the memory of the baseline stage."""

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.state_table import StateTable
from monitor.detect.baseline.learning import HISTORY_BLOCKS, UNKNOWN_RESOLUTION, WINDOWS_PER_BLOCK

__all__ = ["BaselineTable"]


class BaselineTable(StateTable):
    """What is kept of each group; `find` may put other arrays in these ones' place.

    Parameters
    ----------
    version : of the rules.
    features : values in a reading.
    representatives : how many of them tell all that there is to know of how far they stand apart.
    """

    def __init__(self, version: int, features: int, representatives: int) -> None:
        fields = [
            ("held", "?", (representatives,)),  # whether they came apart and haven't come back
            ("windows_seen", "<u4"),
            ("full_block", "<u4"),
            ("open_medians", "<f4", (WINDOWS_PER_BLOCK, features)),
            (
                "deviations",
                "<f4",
                (HISTORY_BLOCKS, representatives),
            ),  # how far sensors stood apart in the last blocks
            ("spread", "<f4", (representatives,)),  # how far they stray from that at rest
            ("baseline", "<f4", (3, features)),
            ("resolution", "u1", (features,)),
        ]
        super().__init__(
            "baseline", (version, features, HISTORY_BLOCKS), fields, {"resolution": UNKNOWN_RESOLUTION}
        )

    def _update_views(self) -> None:
        super()._update_views()
        records = self.records
        self.windows_seen: NDArray[np.uint32] = records["windows_seen"]
        """Windows: (row,)."""
        self.full_block: NDArray[np.uint32] = records["full_block"]
        """Which block is full and isn't learnt yet, from 1 on; 0 where none is: (row,)."""
        self.open_medians: FloatArray = records["open_medians"]
        """Medians of the windows of the block: (row, window, feature)."""
        self.baseline: FloatArray = records["baseline"]
        """How far sensors stand apart, units, and the last block: (row, 3, feature)."""
        self.resolution: NDArray[np.uint8] = records["resolution"]
        """In which of the coarse steps they report: (row, feature)."""
