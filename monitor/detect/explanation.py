"""Why an incident began, in words: `temperature_2 reads 55.2 degC, its neighbour temperature_1 27.5`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.manifest import Feature
from monitor.core.arrays import FloatArray
from monitor.core.quantities import find_neighbours
from monitor.detect.contributions import Contributions

__all__ = ["explain"]

_NO_SINGLE_VALUE = "no value alone accounts for it"
# Sensors agree where they are less than this part as far apart as at most. It isn't delicate: from a fifth to
# a half 23 to 25 of the incidents told of below named a healthy sensor.
_AGREEMENT_RATIO = 1 / 3


def explain(
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
    shares = contributions.by_feature
    index = _most_deviating_feature(features, scaled) if shares is None else int(shares.argmax())
    index = _most_moved_sensor(
        values, _deviation(features, scaled, index), [index, *_find_neighbours(features, index)]
    )
    deviation = _deviation(features, scaled, index)  # (step,)
    step = _last_peak_step(deviation)
    if shares is None:
        return (
            f"{_NO_SINGLE_VALUE}; {_describe(features, values[step], index)}"
            if deviation.any()
            else _NO_SINGLE_VALUE
        )
    if contributions.by_step is not None and not deviation.any():  # it has no neighbour, or all agree
        step = _last_peak_step(contributions.by_step[:, index])
    return _describe(features, values[step], index)


def _find_neighbours(features: Sequence[Feature], index: int) -> list[int]:
    return find_neighbours([feature.name for feature in features], index)


def _most_deviating_feature(features: Sequence[Feature], scaled: NDArray[np.float32]) -> int:
    """Return the feature that is furthest from its neighbours; of two equally far ones, the odder one."""
    deviations = [_deviation(features, scaled, index).max() for index in range(len(features))]
    return max(range(len(features)), key=lambda index: (deviations[index], abs(scaled[-1, index]), index))


def _most_moved_sensor(values: FloatArray, deviation: NDArray[np.float32], sensors: Sequence[int]) -> int:
    """Return which of a quantity's sensors moved most since they agreed; the first if they never did.

    Parameters
    ----------
    values : the window, raw (step, feature).
    deviation : the first, from the others (step,).
    sensors : features.
    """
    step = _last_peak_step(deviation)
    agreed = np.flatnonzero(deviation < _AGREEMENT_RATIO * deviation[step])
    if not len(agreed):
        return sensors[0]
    moved = np.abs(values[step] - values[agreed[-1]])  # (feature,)
    return max(sensors, key=lambda index: moved[index])


def _deviation(features: Sequence[Feature], scaled: NDArray[np.float32], index: int) -> NDArray[np.float32]:
    """Return how far a feature is from its neighbours in each reading of a scaled window: (step,)."""
    neighbour_indices = _find_neighbours(features, index)
    others = scaled[:, neighbour_indices].mean(axis=1) if neighbour_indices else scaled[:, index]
    return np.abs(scaled[:, index] - others)


def _last_peak_step(values: NDArray[np.floating[Any]]) -> int:
    """Return the step at which values (step,) are highest, the newest of equal ones."""
    return len(values) - 1 - int(values[::-1].argmax())


def _describe(features: Sequence[Feature], reading: FloatArray, index: int) -> str:
    """Say one value of a reading (feature,), and those of its neighbours."""
    unit = f" {features[index].unit}" if features[index].unit else ""
    text = f"{features[index].name} reads {_format_number(reading[index])}{unit}"
    neighbour_indices = _find_neighbours(features, index)
    if not neighbour_indices:
        return text
    if len(neighbour_indices) == 1:
        return f"{text}, its neighbour {features[neighbour_indices[0]].name} {_format_number(reading[neighbour_indices[0]])}"
    others = reading[neighbour_indices]
    return f"{text}, its neighbours {_format_number(others.min())} to {_format_number(others.max())}"


def _format_number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004, three digits at least
