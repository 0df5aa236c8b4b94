"""The baseline of each group and the blocks it is learnt from: the state of the baseline stage."""

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.state_table import StateTable
from monitor.detect.baseline.learning import HISTORY_BLOCKS, UNKNOWN_RESOLUTION, WINDOWS_PER_BLOCK

__all__ = ["BaselineTable"]


class BaselineTable(StateTable):
    """State of each group, as a table with one view per field.

    Adding a group may replace the views, see `GroupTable`.

    Parameters
    ----------
    version : version of the baseline's rules.
    features : number of values in a reading.
    representatives : number of representatives of the features, see `Quantities`.
    """

    def __init__(self, version: int, features: int, representatives: int) -> None:
        fields = [
            ("held", "?", (representatives,)),  # whether the sensor has departed and not returned
            ("windows_seen", "<u4"),
            ("full_block", "<u4"),
            ("open_medians", "<f4", (WINDOWS_PER_BLOCK, features)),
            ("deviations", "<f4", (HISTORY_BLOCKS, representatives)),  # ring buffer of the last blocks
            ("spread", "<f4", (representatives,)),  # usual distance between deviation and level
            ("baseline", "<f4", (3, features)),
            ("resolution", "u1", (features,)),
        ]
        super().__init__(
            "baseline",
            (version, features, HISTORY_BLOCKS),
            fields,
            {"resolution": UNKNOWN_RESOLUTION, "value_range": np.nan},
            transient_fields=[("published_unit", "<f4", (features,))],  # 0: not published
            appended_fields=[
                ("value_range", "<f4", (2, features)),  # lowest and highest value of all blocks
                (
                    "usual_move",
                    "<f4",
                    (representatives,),
                ),  # common to the quantity, per block
            ],
        )

    def _update_views(self) -> None:
        super()._update_views()
        records = self.records
        self.windows_seen: NDArray[np.uint32] = records["windows_seen"]
        """Number of windows so far: (row,)."""
        self.full_block: NDArray[np.uint32] = records["full_block"]
        """Number, from 1, of the block that is full and not learnt yet; 0 if there is none: (row,)."""
        self.open_medians: FloatArray = records["open_medians"]
        """Median over the steps of each window of the current block: (row, window, feature)."""
        self.baseline: FloatArray = records["baseline"]
        """Level, unit and last block, see `BaselineStage.push`: (row, 3, feature)."""
        self.resolution: NDArray[np.uint8] = records["resolution"]
        """Resolution of the sensors, as an index into `learning._RESOLUTIONS`: (row, feature)."""
        self.value_range: FloatArray = records["value_range"]
        """Lowest and highest value of each sensor's blocks; NaN before the first: (row, 2, feature)."""
