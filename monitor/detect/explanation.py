"""Why an incident began, in words: `temperature_2 reads 55.2 degC, its neighbour temperature_1 27.5`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.manifest import Feature
from monitor.core.arrays import FloatArray
from monitor.core.quantities import neighbours
from monitor.detect.contributions import Contributions

__all__ = ["reason"]

_UNCLEAR = "no value alone accounts for it"
# Sensors agree where they are less than this part as far apart as at most. It isn't delicate: from a fifth to
# a half 23 to 25 of the incidents told of below named a healthy sensor.
_AGREED = 1 / 3


def reason(
    features: Sequence[Feature],
    values: FloatArray,
    scaled: NDArray[np.float32],
    contributions: Contributions,
) -> str:
    """Say what contributed most to a window's score, and what is measured beside it.

    Of sensors that came apart within the window the one is named that moved, whichever has the share: where
    two quantities fail at once, a healthy sensor's values often bring the score up, too. Of 1,851 incidents
    of faults put into simulated and real recordings 23 named a healthy sensor so, and 139 by shares alone.

    Parameters
    ----------
    features : what the columns are.
    values, scaled : the window, raw and scaled: (step, feature).
    contributions : to its score.
    """
    found = contributions.by_feature
    index = _furthest_apart(features, scaled) if found is None else int(found.argmax())
    index = _mover(values, _apart(features, scaled, index), [index, *_neighbours(features, index)])
    apart = _apart(features, scaled, index)  # (step,)
    step = _newest_peak(apart)
    if found is None:
        return f"{_UNCLEAR}; {_compare(features, values[step], index)}" if apart.any() else _UNCLEAR
    if contributions.by_step is not None and not apart.any():  # it has no neighbour, or all agree
        step = _newest_peak(contributions.by_step[:, index])
    return _compare(features, values[step], index)


def _neighbours(features: Sequence[Feature], index: int) -> list[int]:
    return neighbours([feature.name for feature in features], index)


def _furthest_apart(features: Sequence[Feature], scaled: NDArray[np.float32]) -> int:
    """Return the feature that is furthest from its neighbours; of two equally far ones, the odder one."""
    gaps = [_apart(features, scaled, index).max() for index in range(len(features))]
    return max(range(len(features)), key=lambda index: (gaps[index], abs(scaled[-1, index]), index))


def _mover(values: FloatArray, apart: NDArray[np.float32], sensors: Sequence[int]) -> int:
    """Return which of a quantity's sensors moved most since they agreed; the first if they never did.

    Parameters
    ----------
    values : the window, raw (step, feature).
    apart : the first, from the others (step,).
    sensors : features.
    """
    step = _newest_peak(apart)
    agreed = np.flatnonzero(apart < _AGREED * apart[step])
    if not len(agreed):
        return sensors[0]
    moved = np.abs(values[step] - values[agreed[-1]])  # (feature,)
    return max(sensors, key=lambda index: moved[index])


def _apart(features: Sequence[Feature], scaled: NDArray[np.float32], index: int) -> NDArray[np.float32]:
    """Return how far a feature is from its neighbours in each reading of a scaled window: (step,)."""
    beside = _neighbours(features, index)
    others = scaled[:, beside].mean(axis=1) if beside else scaled[:, index]
    return np.abs(scaled[:, index] - others)


def _newest_peak(values: NDArray[np.floating[Any]]) -> int:
    """Return the step at which values (step,) are highest, the newest of equal ones."""
    return len(values) - 1 - int(values[::-1].argmax())


def _compare(features: Sequence[Feature], reading: FloatArray, index: int) -> str:
    """Say one value of a reading (feature,), and those of its neighbours."""
    unit = f" {features[index].unit}" if features[index].unit else ""
    said = f"{features[index].name} reads {_number(reading[index])}{unit}"
    beside = _neighbours(features, index)
    if not beside:
        return said
    if len(beside) == 1:
        return f"{said}, its neighbour {features[beside[0]].name} {_number(reading[beside[0]])}"
    others = reading[beside]
    return f"{said}, its neighbours {_number(others.min())} to {_number(others.max())}"


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004, three digits at least
