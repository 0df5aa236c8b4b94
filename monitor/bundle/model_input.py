"""Raw windows -> what the scaler and the model get: deviations from the group's baseline, in its units.

A deviation is how far a sensor is from what all sensors of its quantity have in common, beyond its usual
distance, in units of how much that distance varies at rest. What all sensors of a quantity do together is the
plant, and is taken off.
"""

from collections.abc import Sequence

from monitor.core.arrays import FloatArray
from monitor.core.quantities import Quantities

__all__ = ["UNIT_GROWTH_PER_MOVE", "DeviationTransform", "RawTransform", "build_transform"]

UNIT_GROWTH_PER_MOVE = 0.3
"""Where the plant moves, one of its sensors is there before the other: the unit grows by this share of the
distance that all sensors of the quantity have moved since the last block."""


class RawTransform:
    """The input of a model without a baseline: windows as they come."""

    def transform(self, windows: FloatArray, baselines: FloatArray) -> FloatArray:  # noqa: ARG002, as `DeviationTransform`
        """Return raw windows (window, step, feature) unchanged."""
        return windows


class DeviationTransform:
    """The input of a model with a baseline.

    Parameters
    ----------
    names : the features, in order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._quantities = Quantities(names)

    def transform(self, windows: FloatArray, baselines: FloatArray) -> FloatArray:
        """Return the deviations (window, step, feature), without a unit.

        Parameters
        ----------
        windows : raw values (window, step, feature).
        baselines : usual distance from what the quantity has in common (of a sensor that is alone: from 0),
            unit, and last block, each in the feature's unit: (window, 3, feature).
        """
        quantities = self._quantities
        moves = quantities.expand(
            quantities.common_magnitude(windows - baselines[:, 2:])
        )  # (window, step, feature)
        deviations = quantities.expand_signed(quantities.deviations(windows - baselines[:, :1]))
        return deviations / (baselines[:, 1:2] + UNIT_GROWTH_PER_MOVE * moves)


def build_transform(names: Sequence[str], *, has_baseline: bool) -> DeviationTransform | RawTransform:
    """Return the transform for features `names`, as a manifest describes it."""
    return DeviationTransform(names) if has_baseline else RawTransform()
