"""What the checks keep of each group."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.core.state_table import StateTable

__all__ = ["DAYS_KEPT", "SLOT_S", "CheckTable"]

_VERSION = 1

DAYS_KEPT = 7
"""Number of days whose means are kept for `drift`."""
SLOT_S = 300.0
"""Seconds of event time in a slot. A float32 holds the slots of the next 100 years."""
_NO_VALUE = -1.0  # `tolerance` before the first sample: no value is equal


class CheckTable(StateTable):
    """State of each group in `flat` and `drift`: 250 bytes for two pairs.

    Adding a group may replace the views, see `GroupTable`.

    Parameters
    ----------
    features : number of values in a reading.
    representatives : number of representatives of the features, see `Quantities`.
    """

    def __init__(self, features: int, representatives: int) -> None:
        fields: Sequence[tuple[object, ...]] = [
            ("flat", "?", (features,)),
            ("drifted", "?", (representatives,)),
            ("suspected", "?", (representatives,)),  # half of the way to a drift: little is learnt
            ("moves", "u1", (features,)),
            ("direction", "i1", (features,)),  # of the neighbour's last move: 1 up, -1 down, 0 none yet
            ("slot", "<f4"),  # number of the newest sample's slot of time; NaN before the first sample
            ("quiet_slot", "<f4"),  # the same, NaN where some sensor is flat or has drifted
            ("samples", "<u2", (features,)),  # with an equal value
            ("longest", "<u2", (features,)),  # most samples with an equal value before; not where it was flat
            ("since", "<f4", (features,)),  # slot of the first of them
            ("value", "<f4", (features,)),
            ("lowest", "<f4", (features,)),  # of the neighbours since their last move
            ("highest", "<f4", (features,)),
            ("step", "<f4", (features,)),  # smallest change of the sensor that was seen
            ("tolerance", "<f4", (features,)),  # change up to which the sensor has an equal value
            ("samples_today", "u1"),  # one an hour
            ("days", "<u2"),  # complete days so far
            ("hour", "<f4"),  # of the newest of them, since the Unix epoch; NaN before the first
            ("first", "<f4", (representatives,)),  # distance in the day's first sample
            ("sum", "<f4", (representatives,)),  # of distance - first
            ("square_sum", "<f4", (representatives,)),
            ("means", "<f4", (DAYS_KEPT, representatives)),  # ring buffer of the last complete days
            ("level", "<f4", (representatives,)),  # usual distance before the days in `means`
            ("spread", "<f4", (representatives,)),  # standard deviation of the distance about the level
        ]
        super().__init__(
            "checks",
            (_VERSION, features, representatives),
            fields,
            {"slot": np.nan, "quiet_slot": np.nan, "hour": np.nan, "step": np.inf, "tolerance": _NO_VALUE},
        )

    def _update_views(self) -> None:
        super()._update_views()
        records = self.records
        self.slot: NDArray[np.float32] = records["slot"]
        """Number of the newest sample's slot of time; NaN before the first sample: (row,)."""
        self.quiet_slot: NDArray[np.float32] = records["quiet_slot"]
        """The same, but NaN where some sensor is flat or has drifted: (row,)."""
