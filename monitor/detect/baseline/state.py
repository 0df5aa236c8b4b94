"""The baseline of each group and the blocks it is learnt from: the state of the baseline stage."""

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.readings import MAX_VALUE
from monitor.core.state_table import StateTable
from monitor.detect.baseline.blocks import BLOCK_LIFETIME_WINDOWS, SLOW_WINDOW_S, WINDOWS_PER_BLOCK
from monitor.detect.baseline.history import HISTORY_BLOCKS
from monitor.detect.baseline.learning import UNKNOWN_RESOLUTION

__all__ = ["IS_FULL", "BaselineTable"]

IS_FULL = -np.inf
"""Value of `BaselineTable.expires_at` of a group with a full block that is not learnt yet."""
# In the feature's unit: smaller than the noise of any sensor, and the largest value measured by it is still a
# number for the model.
_MIN_UNIT = 1e-9
_MEASURED_FIELDS = (
    "jump",
    "previous",
    "peak",
    "reach",
    "open_medians",
    "deviations",
    "spread",
    "baseline",
    "usual_move",
)


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
            ("is_slow", "?"),
            ("is_after_gap", "?"),
            ("windows_seen", "<u4"),
            ("blocks", "<u4"),
            ("window_s", "<f4"),
            ("expires_at", "<f8"),
            ("next_expires_at", "<f8"),
            # Of the sensor's last departure, see `departures`: the change of the deviation, the blocks since
            # (1 more than that; 0: there is none), and the deviation in the last window while held.
            ("jump", "<f4", (representatives,)),
            ("jump_blocks", "<u2", (representatives,)),
            ("previous", "<f4", (representatives,)),
            # Largest residual of this departure, and of the ones that ended; slow groups only.
            ("peak", "<f4", (representatives,)),
            ("reach", "<f4", (representatives,)),
            ("open_medians", "<f4", (WINDOWS_PER_BLOCK, features)),
            ("deviations", "<f4", (HISTORY_BLOCKS, representatives)),  # ring buffer of the last blocks
            ("spread", "<f4", (representatives,)),  # usual distance between deviation and level
            ("baseline", "<f4", (3, features)),
            ("resolution", "u1", (features,)),
            ("value_range", "<f4", (2, features)),  # lowest and highest value of all blocks
            ("usual_move", "<f4", (representatives,)),  # common to the quantity, per block
        ]
        super().__init__(
            "baseline",
            (version, features, HISTORY_BLOCKS),
            fields,
            {"resolution": UNKNOWN_RESOLUTION, "value_range": np.nan, "expires_at": np.inf},
            transient_fields=[("published_unit", "<f4", (features,))],  # 0: not published
        )

    def _update_views(self) -> None:
        super()._update_views()
        records = self.records
        self.windows_seen: NDArray[np.uint32] = records["windows_seen"]
        """Number of windows so far: (row,)."""
        self.blocks: NDArray[np.uint32] = records["blocks"]
        """Number of blocks that were filled so far: (row,)."""
        self.is_slow: NDArray[np.bool_] = records["is_slow"]
        """Whether each window is a block of its own, because windows take long: (row,)."""
        self.is_after_gap: NDArray[np.bool_] = records["is_after_gap"]
        """Whether the block before was no longer recent when the last filled block began: (row,)."""
        self.window_s: FloatArray = records["window_s"]
        """Seconds from first to last reading of the last filled block's last window: (row,)."""
        self.expires_at: FloatArray = records["expires_at"]
        """Event time until which the last block is recent; `IS_FULL` while a full block is not learnt yet:
        one look tells both, and most windows need neither. (row,)"""
        self.next_expires_at: FloatArray = records["next_expires_at"]
        """The value of `expires_at` once the last filled block is learnt: (row,)."""
        self.open_medians: FloatArray = records["open_medians"]
        """Median over the steps of each window of the current block: (row, window, feature)."""
        self.baseline: FloatArray = records["baseline"]
        """Level, unit and last block, see `BaselineStage.push`: (row, 3, feature)."""
        self.resolution: NDArray[np.uint8] = records["resolution"]
        """Resolution of the sensors, as an index into `learning._RESOLUTIONS`: (row, feature)."""
        self.value_range: FloatArray = records["value_range"]
        """Lowest and highest value of each sensor's blocks; NaN before the first: (row, 2, feature)."""

    def is_possible(self, row: int) -> bool:
        """Return whether a group's numbers are such as readings lead to: they come from a store.

        A window that is measured by others would get a score that is no number, which ends the pipeline.
        """
        record = self.records[row]
        # A block that isn't learnt yet gives a unit before the next window is read.
        has_unit = record["blocks"] > (record["expires_at"] == IS_FULL)
        if has_unit and not (record["baseline"][1] >= _MIN_UNIT).all():
            return False
        # No reading has a larger value, so differences of two are at most twice as large.
        measured = [record[name].ravel() for name in _MEASURED_FIELDS]
        is_bounded = np.abs(np.concatenate(measured)) <= 2 * MAX_VALUE  # False for NaN
        return bool(is_bounded.all() and (record["resolution"] <= UNKNOWN_RESOLUTION).all())

    def complete_blocks(
        self, rows: IndexArray, slots: IndexArray, medians: FloatArray, ts: FloatArray
    ) -> None:
        """Mark the current blocks of groups as full.

        Parameters
        ----------
        rows : row of each group (group,).
        slots : slot of each block's last window (group,).
        medians : median of this window over its steps (group, feature).
        ts : event times of this window (group, step).
        """
        begins, ends, is_slow = ts[:, 0], ts[:, -1], self.is_slow[rows]
        window_s = ends - begins
        is_after_gap = begins > self.expires_at[rows]
        # A slow group's window is a block of its own. So is one after a gap: others may be from before it.
        is_single = is_slow | is_after_gap
        if np.count_nonzero(is_single):
            self.open_medians[rows[is_single]] = medians[is_single, None]
        self.is_slow[rows] = np.where(slots == WINDOWS_PER_BLOCK - 1, window_s >= SLOW_WINDOW_S, is_slow)
        self.is_after_gap[rows] = is_after_gap
        self.window_s[rows] = window_s
        self.next_expires_at[rows] = ends + BLOCK_LIFETIME_WINDOWS * window_s
        self.expires_at[rows] = IS_FULL
        self.blocks[rows] += 1
