"""Flags windows that have a value far outside the range of the training data."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = ["RangeStage"]

# A value is far outside if its distance from the training range is more than this share of the range's width.
# With one half, a day that is warmer than all days of the recording is not flagged, but a sensor that reads
# twice as much as the others is flagged.
_MARGIN = 0.5


class RangeStage:
    """Flags windows with a value for which the model has no training data.

    Parameters
    ----------
    features : the feature names in order.
    ranges : feature -> lowest and highest healthy value in training, in the units of the windows to flag.
    """

    def __init__(self, features: Sequence[str], ranges: Mapping[str, tuple[float, float]]) -> None:
        low = np.array([ranges[name][0] for name in features])  # (feature,)
        high = np.array([ranges[name][1] for name in features])  # (feature,)
        margin = _MARGIN * (high - low)
        self._low = low - margin
        self._high = high + margin

    def flag(self, windows: FloatArray) -> NDArray[np.bool_]:
        """Return which windows (window, step, feature) have a value far outside: (window,)."""
        outside = (windows < self._low) | (windows > self._high)  # (window, step, feature)
        # Reshaped for `any` along one axis: along two axes a single window takes twice the time.
        flags: NDArray[np.bool_] = outside.reshape(len(outside), windows[:1].size).any(axis=1)
        return flags
