"""Data augmentation: random changes to training windows that do not change their label."""

import math
from collections.abc import Sequence
from itertools import chain, permutations, product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.quantities import quantity_numbers
from training.config.settings import FitSettings

__all__ = ["Augmentation", "JointShift", "SwapAndScale", "build_augmentation"]


# Assumed for unseen plants: largest deviation of a Normal window, and smallest deviation of a Faulty window,
# in units of the baseline.
_WINDOW_UNITS = 3.0, 3.8
# The same for a network that judges sensor by sensor: of a window the most deviating sensor counts. With 3.0
# and 3.8, 0.53 % of the healthy windows of three pairs of rooms were called Faulty (F1 with faults 0.805),
# with these 0.46 % (0.798), with 3.5 and 4.0 0.35 % (0.789).
_SENSOR_UNITS = 3.25, 3.9
# Lower bound of a divisor.
_EPSILON = 1e-3
# More orders of the features than these teach nothing more: with ten pairs there are 4e9.
_MAX_ORDERS = 1000


class Augmentation(Protocol):
    """Changes windows at random without changing their labels."""

    def augment(
        self, scaled: NDArray[np.float32], faulty: NDArray[np.bool_], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return a copy of the windows (window, step, feature), each changed independently at random.

        Parameters
        ----------
        scaled : scaled windows (window, step, feature).
        faulty : the true labels of the windows (window,).
        rng : random generator.
        """
        ...


class JointShift:
    """Adds the same random shift to all sensors of a quantity, in all readings of a window.

    A recording of a few hours covers only a part of the day. Later readings can be warmer or more humid than
    all recorded readings, and a network trained without shifts may predict Faulty for them. A shift common to
    all sensors of a quantity simulates the plant at another hour; a fault, in contrast, affects one sensor
    but not its neighbours.

    Parameters
    ----------
    quantities : what each feature measures (feature,).
    shift : standard deviation of the shifts, in units of the mean standard deviation of the quantity; 0 for
        no shift.
    scale : standard deviation of each feature, in the feature's unit (feature,).
    """

    def __init__(self, quantities: Sequence[str], shift: float, scale: FloatArray) -> None:
        self._quantity_numbers = quantity_numbers(quantities)
        # The mean standard deviation of the quantity, in units of each feature's own standard deviation.
        relative_scale = (
            np.array(
                [scale[self._quantity_numbers == quantity].mean() for quantity in self._quantity_numbers]
            )
            / scale
        )
        self._feature_shift = (shift * relative_scale).astype(np.float32)  # (feature,)

    def augment(
        self,
        scaled: NDArray[np.float32],
        faulty: NDArray[np.bool_],  # noqa: ARG002 - both classes are shifted alike
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """Return the windows (window, step, feature) with a random shift for each window and quantity."""
        shifts = rng.standard_normal((len(scaled), self._quantity_numbers.max() + 1), dtype=np.float32)
        shifted: NDArray[np.float32] = (
            scaled + (shifts[:, self._quantity_numbers] * self._feature_shift)[:, np.newaxis, :]
        )
        return shifted


class SwapAndScale:
    """Varies windows relative to their group's baseline, so that the model generalises to other plants.

    Relative to the baseline, the values of all sensors are in units of their usual deviation, so a fault
    gives similar values in any sensor. The sensors of a quantity are exchanged at random, and so are
    quantities of equally many sensors, in the same way in all readings of a window. On another plant,
    deviations can be larger in Normal windows and smaller in Faulty windows. Normal windows are therefore
    scaled up, to a maximum deviation of at most `max_normal` units, and Faulty windows are scaled down, to a
    maximum deviation of at least `min_faulty` units.

    Parameters
    ----------
    quantities : what each feature measures (feature,).
    unit : size of one unit of the baseline after scaling.
    max_normal, min_faulty : limits of the largest deviation, in units of the baseline.
    """

    def __init__(self, quantities: Sequence[str], unit: float, max_normal: float, min_faulty: float) -> None:
        self._feature_orders = _list_feature_orders(quantities)  # (order, feature)
        self._unit = unit
        self._max_normal, self._min_faulty = max_normal, min_faulty

    def augment(
        self, scaled: NDArray[np.float32], faulty: NDArray[np.bool_], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return the windows (window, step, feature), with sensors swapped and values scaled at random."""
        feature_orders = self._feature_orders[
            rng.integers(len(self._feature_orders), size=len(scaled))
        ]  # (window, feature)
        swapped = np.take_along_axis(scaled, feature_orders[:, np.newaxis, :], axis=2)
        farthest = np.maximum(np.abs(scaled).max(axis=(1, 2)) / self._unit, _EPSILON)  # (window,)
        limit = np.where(
            faulty, np.minimum(self._min_faulty / farthest, 1), np.maximum(self._max_normal / farthest, 1)
        )
        factors = limit ** rng.uniform(size=len(scaled))  # (window,)
        varied: NDArray[np.float32] = swapped * factors[:, np.newaxis, np.newaxis].astype(np.float32)
        return varied


def _list_feature_orders(quantities: Sequence[str]) -> NDArray[np.intp]:
    """Return orders of the features in which neighbours remain neighbours: (order, feature).

    All of them if they are few, else a thousand at random.
    """
    numbers = quantity_numbers(quantities)
    members = [np.flatnonzero(numbers == number) for number in np.unique(numbers)]
    # Quantities can take each other's place if they have equally many sensors.
    by_size = [
        [columns for columns in members if len(columns) == size]
        for size in sorted({len(columns) for columns in members})
    ]
    positions = np.concatenate([columns for same_size in by_size for columns in same_size])
    count = math.prod(math.factorial(len(columns)) for columns in members) * math.prod(
        math.factorial(len(same_size)) for same_size in by_size
    )
    if count <= _MAX_ORDERS:
        orders = [
            np.concatenate(inner)
            for outer in product(*(permutations(same_size) for same_size in by_size))
            for inner in product(*(permutations(columns) for columns in chain(*outer)))
        ]
    else:
        rng = np.random.default_rng(0)
        orders = [
            np.concatenate(
                [
                    rng.permutation(same_size[number])
                    for same_size in by_size
                    for number in rng.permutation(len(same_size))
                ]
            )
            for _ in range(_MAX_ORDERS)
        ]
    feature_orders = np.empty((len(orders), len(quantities)), dtype=np.intp)
    feature_orders[:, positions] = orders
    return feature_orders


def build_augmentation(settings: FitSettings, scale: FloatArray) -> Augmentation | None:
    """Return the augmentation selected by the settings; None for no augmentation.

    Parameters
    ----------
    scale : standard deviation of each feature in the training windows (feature,).
    """
    if settings.baseline != "none":
        units = _SENSOR_UNITS if settings.network == "sensor-lstm" else _WINDOW_UNITS
        return SwapAndScale(settings.quantities, 1 / float(scale[0]), *units)
    return JointShift(settings.quantities, settings.joint_shift, scale) if settings.joint_shift else None
