"""Windows -> scaled windows: the fitted StandardScaler of training, as plain numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = ["Scaler"]


@dataclass(frozen=True, slots=True, eq=False)
class Scaler:
    """Subtracts each feature's mean and divides by its standard deviation, both fitted in training."""

    mean: FloatArray
    """Mean of each feature, in the feature's own unit: (feature,)."""
    scale: FloatArray
    """Standard deviation of each feature, in the feature's own unit, above zero: (feature,)."""

    @classmethod
    def from_numbers(cls, mean: Sequence[float], scale: Sequence[float]) -> "Scaler":
        """Build a scaler from plain numbers.

        Raises
        ------
        ValueError : the two have different lengths, a number is not finite, or a scale is not above zero.
        """
        scaler = cls(np.array(mean, dtype=np.float64), np.array(scale, dtype=np.float64))
        if scaler.mean.shape != scaler.scale.shape or scaler.mean.ndim != 1:
            raise ValueError(f"{len(mean)} means and {len(scale)} scales; expected one of each per feature")
        if not (np.isfinite(scaler.mean).all() and np.isfinite(scaler.scale).all()):
            raise ValueError("means and scales must be finite numbers")
        if (scaler.scale <= 0).any():
            raise ValueError(f"scales must be above 0, not {scaler.scale.min()}")
        return scaler

    def transform(self, windows: FloatArray) -> NDArray[np.float32]:
        """Scale windows (window, step, feature); the result has the same shape.

        The result is rounded to float32 after scaling, so that small changes of a large mean are kept.
        """
        return ((windows - self.mean) / self.scale).astype(np.float32)
