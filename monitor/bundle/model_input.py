"""Raw windows -> what the scaler and the model get: deviations from the group's baseline, in its units.

A deviation is how far a sensor is from what all sensors of its quantity have in common, beyond its usual
distance, in units of how much that distance varies at rest. What all sensors of a quantity do together is the
plant, and is taken off.
"""

from collections.abc import Sequence

from monitor.core.arrays import FloatArray
from monitor.core.quantities import Quantities

__all__ = ["UNIT_GROWTH_PER_MOVE", "Deviations", "RawValues", "model_input"]

UNIT_GROWTH_PER_MOVE = 0.3
"""Where the plant moves, one of its sensors is there before the other: the unit grows by this share of the
distance that all sensors of the quantity have moved since the last block."""


class RawValues:
    """The input of a model without a baseline: windows as they come."""

    def transform(self, windows: FloatArray, baselines: FloatArray) -> FloatArray:  # noqa: ARG002, as `Deviations`
        """Return raw windows (window, step, feature) unchanged."""
        return windows


class Deviations:
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
        of = self._quantities
        moves = of.each(of.shared_size(windows - baselines[:, 2:]))  # (window, step, feature)
        apart = of.everywhere(of.apart(windows - baselines[:, :1]))
        return apart / (baselines[:, 1:2] + UNIT_GROWTH_PER_MOVE * moves)


def model_input(names: Sequence[str], *, has_baseline: bool) -> Deviations | RawValues:
    """Return the transform for features `names`, as a manifest describes it."""
    return Deviations(names) if has_baseline else RawValues()
