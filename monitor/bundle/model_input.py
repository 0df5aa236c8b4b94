"""Raw windows -> input of scaler and model: deviations from the group's baseline, in the baseline's units.

A sensor's deviation is its value minus the median of all sensors of its quantity. The model's input is the
difference between the deviation and its usual level, divided by a measure of its usual variation. A change
that all sensors of a quantity show together is a change of the plant, and subtracting the median removes it.
"""

from collections.abc import Sequence

from monitor.core.arrays import FloatArray
from monitor.core.quantities import Quantities

__all__ = ["UNIT_GROWTH_PER_MOVE", "DeviationTransform", "RawTransform", "build_transform"]

UNIT_GROWTH_PER_MOVE = 0.3
"""Growth of the baseline's unit per distance that all sensors of a quantity have moved since the last block:
when the plant's temperature changes, for example, some sensors react sooner than others."""


class RawTransform:
    """The input of a model without a baseline: raw values."""

    def transform(self, windows: FloatArray, baselines: FloatArray) -> FloatArray:  # noqa: ARG002, as `DeviationTransform`
        """Return the windows (window, step, feature) unchanged."""
        return windows


class DeviationTransform:
    """The input of a model with a baseline: deviations.

    Parameters
    ----------
    names : the feature names in order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._quantities = Quantities(names)

    def transform(self, windows: FloatArray, baselines: FloatArray) -> FloatArray:
        """Return deviations from the baseline, in the baseline's units: (window, step, feature).

        Parameters
        ----------
        windows : raw values (window, step, feature).
        baselines : level, unit and last block of each feature, in the feature's own unit: (window, 3,
            feature). See `BaselineStage.push`.
        """
        quantities = self._quantities
        common_moves = quantities.common_magnitude(windows - baselines[:, 2:])
        moves = quantities.expand(common_moves)  # (window, step, feature)
        deviations = quantities.expand_signed(quantities.deviations(windows - baselines[:, :1]))
        return deviations / (baselines[:, 1:2] + UNIT_GROWTH_PER_MOVE * moves)


def build_transform(names: Sequence[str], *, has_baseline: bool) -> DeviationTransform | RawTransform:
    """Return the transform for a model's features.

    Parameters
    ----------
    names : the feature names in order.
    has_baseline : whether the manifest has a baseline.
    """
    return DeviationTransform(names) if has_baseline else RawTransform()
