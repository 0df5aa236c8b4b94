"""Data augmentation: changes to training windows that keep their label."""

from itertools import permutations, product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.quantities import quantity_numbers
from training.config.settings import FitSettings
from training.data.features import FEATURE_NAMES

__all__ = ["Augmentation", "JointShift", "SwapAndScale", "build_augmentation"]


# Largest deviation of a Normal window on another plant, and smallest of a Faulty one, in units of the
# baseline.
_MAX_NORMAL_UNITS, _MIN_FAULTY_UNITS = 3.0, 3.8
_EPSILON = 1e-3


class Augmentation(Protocol):
    """Changes windows at random; their labels stay true."""

    def augment(
        self, scaled: NDArray[np.float32], faulty: NDArray[np.bool_], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return a changed copy of the windows (window, step, feature), each changed independently.

        Parameters
        ----------
        scaled : scaled windows (window, step, feature).
        faulty : their truth (window,).
        rng : source of the random changes.
        """
        ...


class JointShift:
    """Adds the same random shift to both sensors of a pair, in all readings of a window.

    A recording of a few hours covers only a part of the day. Later readings can be warmer or more humid than
    all readings in it, and a network trained without shifts may call them Faulty. A shift that both sensors
    of a pair share simulates the plant at another hour; a fault, in contrast, affects one sensor and not its
    neighbour.

    Parameters
    ----------
    shift : standard deviation of the shifts, in units of the mean standard deviation of the pair; 0 for none.
    scale : standard deviation of each feature, in the feature's unit (feature,).
    """

    def __init__(self, shift: float, scale: FloatArray) -> None:
        self._quantity_numbers = quantity_numbers(FEATURE_NAMES)
        # A shift by the mean deviation of the pair, expressed in each feature's own deviation.
        relative_scale = (
            np.array([scale[self._quantity_numbers == pair].mean() for pair in self._quantity_numbers])
            / scale
        )
        self._feature_shift = (shift * relative_scale).astype(np.float32)  # (feature,)

    def augment(
        self,
        scaled: NDArray[np.float32],
        faulty: NDArray[np.bool_],  # noqa: ARG002 - both classes are shifted alike
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """Return the windows (window, step, feature), each with a shift of its own for each pair."""
        shifts = rng.standard_normal((len(scaled), self._quantity_numbers.max() + 1), dtype=np.float32)
        shifted: NDArray[np.float32] = (
            scaled + (shifts[:, self._quantity_numbers] * self._feature_shift)[:, np.newaxis, :]
        )
        return shifted


class SwapAndScale:
    """Varies windows relative to their group's baseline, so that the model generalises to other plants.

    Relative to the baseline, all sensors are in units of their usual deviation, so a fault looks the same in
    each of them. The two sensors of a pair are swapped at random, and so are the pairs, in all readings of a
    window alike. On another plant, a Normal window can deviate more and a fault less: Normal windows are
    scaled up, to a deviation of at most 3 units, and Faulty windows are scaled down, to at least 3.8.

    Parameters
    ----------
    unit : size of one unit in scaled windows.
    """

    def __init__(self, unit: float) -> None:
        numbers = quantity_numbers(FEATURE_NAMES)
        members = [np.flatnonzero(numbers == number) for number in np.unique(numbers)]
        orders = []
        for outer in permutations(members):
            for inner in product(*(permutations(pair) for pair in outer)):
                order = np.empty(len(FEATURE_NAMES), dtype=np.intp)
                order[np.concatenate(members)] = np.concatenate(inner)
                orders.append(order)
        self._feature_orders = np.array(orders)  # (order, feature)
        self._unit = unit

    def augment(
        self, scaled: NDArray[np.float32], faulty: NDArray[np.bool_], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return the windows (window, step, feature), each swapped and scaled at random."""
        feature_orders = self._feature_orders[
            rng.integers(len(self._feature_orders), size=len(scaled))
        ]  # (window, feature)
        swapped = np.take_along_axis(scaled, feature_orders[:, np.newaxis, :], axis=2)
        farthest = np.maximum(np.abs(scaled).max(axis=(1, 2)) / self._unit, _EPSILON)  # (window,)
        limit = np.where(
            faulty, np.minimum(_MIN_FAULTY_UNITS / farthest, 1), np.maximum(_MAX_NORMAL_UNITS / farthest, 1)
        )
        factors = limit ** rng.uniform(size=len(scaled))  # (window,)
        varied: NDArray[np.float32] = swapped * factors[:, np.newaxis, np.newaxis].astype(np.float32)
        return varied


def build_augmentation(settings: FitSettings, scale: FloatArray) -> Augmentation | None:
    """Return the augmentation that the settings ask for; None for none.

    Parameters
    ----------
    scale : standard deviation of each feature in the training windows (feature,).
    """
    if settings.baseline != "none":
        return SwapAndScale(1 / float(scale[0]))
    return JointShift(settings.joint_shift, scale) if settings.joint_shift else None
