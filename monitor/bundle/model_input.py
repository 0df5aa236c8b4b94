"""Raw windows -> input of scaler and model: deviations from the group's baseline, in the baseline's units.

A sensor's deviation is its value minus the median of all sensors of its quantity. The model's input is the
difference between the deviation and its usual level, divided by a measure of its usual variation. A change
that all sensors of a quantity show together is a change of the plant, and subtracting the median removes it.

A model that judges each sensor by itself (`judges` is "sensor") was trained on sensors with neighbours. How
far a sensor without neighbours is from its level tells more of the plant than of the sensor: that was beyond
3 units in up to 2.4 % of healthy windows of ten plants and machines (docs/results/other-quantities.md). So
such a model sees of it only spikes: of 0.8 million healthy windows one had a spike of 3 units.
"""

from collections.abc import Sequence

import numpy as np

from monitor.bundle.manifest import Judges
from monitor.core.arrays import FloatArray
from monitor.core.quantities import Quantities

__all__ = [
    "UNIT_GROWTH_PER_MOVE",
    "UNIT_GROWTH_PER_MOVE_ON_CHANGE",
    "DeviationTransform",
    "RawTransform",
    "build_transform",
    "find_spikes",
]

UNIT_GROWTH_PER_MOVE = 0.3
"""Growth of the baseline's unit per distance that all sensors of a quantity have moved since the last block:
when the plant's temperature changes, for example, some sensors react sooner than others."""
UNIT_GROWTH_PER_MOVE_ON_CHANGE = 0.1
"""The same for sensors that report when they changed. Their readings come because the plant moves, and nine
of them, a block, take 8 minutes and not 45 s as with a reading every 5 s: since the last block the plant has
moved further, for the same lag of a sensor. With 0.3, 0.90 to 0.91 of the windows with lasting faults were
found, with 0.1 0.96; of healthy plants 10,752 group hours gave 5 and 7 alerts (docs/results/alignment.md)."""


class RawTransform:
    """The input of a model without a baseline: raw values."""

    def transform(self, windows: FloatArray, baselines: FloatArray) -> FloatArray:  # noqa: ARG002, as `DeviationTransform`
        """Return the windows (window, step, feature) unchanged."""
        return windows


class DeviationTransform:
    """The input of a model with a baseline: deviations.

    Parameters
    ----------
    quantities : the quantity of each feature (feature,).
    move_growth : growth of each feature's unit per common move (feature,); None: `UNIT_GROWTH_PER_MOVE`.
    judges : as in the manifest.
    """

    def __init__(
        self,
        quantities: Sequence[str],
        move_growth: Sequence[float] | None = None,
        judges: Judges = "window",
    ) -> None:
        self._quantities = Quantities(quantities)
        self._move_growth = UNIT_GROWTH_PER_MOVE if move_growth is None else np.array(move_growth)
        # Features of which only spikes are the model's input: (lone,).
        self._lone = self._quantities.lone[: None if judges == "sensor" else 0]

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
        if len(self._lone):
            deviations[:, :, self._lone] = find_spikes(windows.take(self._lone, axis=2))
        return deviations / (baselines[:, 1:2] + self._move_growth * moves)


def find_spikes(windows: FloatArray) -> FloatArray:
    """Return how far each value is beyond both the value before and the value after it: (window, step, ...).

    0 for a value between the two, and for the first and the last of a window: after a step of the plant
    the value stays where it is, so whether one is a spike shows with the next.

    Parameters
    ----------
    windows : raw values (window, step, feature).
    """
    spikes = np.zeros_like(windows)
    rise, fall = windows[:, 1:-1] - windows[:, :-2], windows[:, 1:-1] - windows[:, 2:]
    height = np.minimum(np.abs(rise), np.abs(fall))
    spikes[:, 1:-1] = np.where(rise * fall > 0, np.copysign(height, rise), 0)
    return spikes


def build_transform(
    quantities: Sequence[str],
    *,
    has_baseline: bool,
    move_growth: Sequence[float] | None = None,
    judges: Judges = "window",
) -> DeviationTransform | RawTransform:
    """Return the transform for a model's features.

    Parameters
    ----------
    quantities : the quantity of each feature (feature,).
    has_baseline : whether the manifest has a baseline.
    move_growth, judges : as in `DeviationTransform`.
    """
    return DeviationTransform(quantities, move_growth, judges) if has_baseline else RawTransform()
