"""The last readings of each group: the state of the window stage."""

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.readings import MAX_VALUE
from monitor.core.state_table import StateTable

__all__ = ["ARRIVAL_TS", "NO_TS", "OWN_TS", "UNKNOWN_TS", "ReadingHistory"]

NO_TS = -np.inf
"""Event time of a missing reading."""

OWN_TS, ARRIVAL_TS, UNKNOWN_TS = range(3)
"""Where a group's newest event time is from: the payload, the wall clock at its arrival, or either."""

_VERSION = 2


class ReadingHistory(StateTable):
    """The last readings of each group, as a table with one view per field.

    Adding a group may replace the views, see `GroupTable`.

    Parameters
    ----------
    steps : number of readings to keep of each group.
    features : number of values in a reading.
    """

    def __init__(self, steps: int, features: int) -> None:
        fields = [
            ("is_silent", "?"),
            ("stride_phase", "<i8"),
            ("ts", "<f8", (steps,)),
            ("values", "<f8", (steps, features)),
        ]
        transient_fields = [("ts_origin", "u1")]
        super().__init__("window", (_VERSION, steps, features), fields, {"ts": NO_TS}, transient_fields)

    def load(self, name: str, value: bytes) -> None:
        """Set the group's record from bytes that `dump` returned; they don't contain `ts_origin`."""
        super().load(name, value)
        row = self.row(name)
        # Of a value that is no number the model says a score that is none, which ends the pipeline.
        is_possible = np.abs(self.values[row]) <= MAX_VALUE  # False for NaN
        if not is_possible.all() or np.isnan(self.ts[row]).any():
            self.forget(name)
            raise ValueError(f"window state of {name!r} has values or times that no reading has")
        self.ts_origin[row] = UNKNOWN_TS

    def append(self, row: int, ts: float, values: FloatArray) -> None:
        """Add a reading of the group in this row, in place of its oldest one."""
        group_ts, group_values = self.ts[row], self.values[row]
        group_ts[:-1], group_ts[-1] = group_ts[1:], ts
        group_values[:-1] = group_values[1:]
        group_values[-1] = values

    def remove_last(self, row: int, count: int) -> None:
        """Remove the last `count` readings of the group in this row; the window of the others isn't full."""
        steps = self.ts.shape[1]
        if count == steps:
            self.clear(row)
            return
        for column, missing in ((self.ts, NO_TS), (self.values, 0.0)):
            column[row, count:] = column[row, : steps - count].copy()
            column[row, :count] = missing

    def _update_views(self) -> None:
        super()._update_views()
        records = self.records
        self.ts: FloatArray = records["ts"]
        """Event times, oldest first, with `NO_TS` in the first places while readings are missing: (row,
        step)."""
        self.values: FloatArray = records["values"]
        """Raw values: (row, step, feature)."""
        self.stride_phase: NDArray[np.int64] = records["stride_phase"]
        """Number of complete windows since the last restart, modulo stride: (row,)."""
        self.is_silent: NDArray[np.bool_] = records["is_silent"]
        """Whether the group is silent, so that its next reading restarts the window: (row,)."""
        self.ts_origin: NDArray[np.uint8] = records["ts_origin"]
        """`OWN_TS`, `ARRIVAL_TS` or `UNKNOWN_TS`: (row,)."""
