"""Windows -> flags that say which have a value far outside what training saw."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = ["RangeStage"]

# "Far outside" starts half a training range beyond its ends: a warmer day than any in the recording is
# not far, a sensor that reads twice the others is.
_MARGIN = 0.5


class RangeStage:
    """Flags windows with a value that the model has no experience of.

    Parameters
    ----------
    features : the feature names in order.
    ranges : feature -> lowest and highest value that a healthy one has in training, in what is flagged.
    """

    def __init__(self, features: Sequence[str], ranges: Mapping[str, tuple[float, float]]) -> None:
        low = np.array([ranges[name][0] for name in features])  # (feature,)
        high = np.array([ranges[name][1] for name in features])  # (feature,)
        margin = _MARGIN * (high - low)
        self._low = low - margin
        self._high = high + margin

    def flag(self, windows: FloatArray) -> NDArray[np.bool_]:
        """Flag raw windows (window, step, feature): (window,)."""
        outside = (windows < self._low) | (windows > self._high)  # (window, step, feature)
        # Along one axis, for along two a window alone costs twice as much.
        flags: NDArray[np.bool_] = outside.reshape(len(outside), windows[:1].size).any(axis=1)
        return flags
