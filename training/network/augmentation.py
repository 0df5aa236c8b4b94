"""What may happen to a window without changing its label: moves and swaps."""

from itertools import permutations, product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.quantities import quantity_numbers
from training.config.settings import FitSettings
from training.data.recordings import FEATURE_NAMES

__all__ = ["Augmentation", "JointShift", "SwapAndScale", "build_augmentation"]


# In units: how far a Normal window may stray on some plant, and how little a Faulty one.
_MAX_NORMAL_UNITS, _MIN_FAULTY_UNITS = 3.0, 3.8
_EPSILON = 1e-3


class Augmentation(Protocol):
    """Makes other windows of windows, with the same labels."""

    def augment(
        self, scaled: NDArray[np.float32], faulty: NDArray[np.bool_], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return scaled windows (window, step, feature), each changed in its own way.

        Parameters
        ----------
        faulty : their truth (window,).
        """
        ...


class JointShift:
    """Moves windows as a plant moves: both sensors of a pair, in all readings of a window, alike.

    A recording of some hours shows only so much of the day, and what comes next is warmer or damper than all
    that was in it; left alone, a network may call that Faulty. So each window is moved by a random amount
    that is the same for both sensors of a pair: that is a plant at another hour, while a fault is what one
    sensor does and its neighbour doesn't.

    Parameters
    ----------
    shift : the standard deviation of the moves, in the mean spread of the pair; 0 for none.
    scale : each feature's spread, in its own unit (feature,).
    """

    def __init__(self, shift: float, scale: FloatArray) -> None:
        self._quantity_numbers = quantity_numbers(FEATURE_NAMES)
        # What a move of one mean spread of the pair is in each feature's own spreads.
        relative_scale = (
            np.array([scale[self._quantity_numbers == pair].mean() for pair in self._quantity_numbers])
            / scale
        )
        self._feature_shift = (shift * relative_scale).astype(np.float32)  # (feature,)

    def augment(
        self,
        scaled: NDArray[np.float32],
        faulty: NDArray[np.bool_],  # noqa: ARG002 - it moves both alike
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """Return scaled windows (window, step, feature), each moved by amounts of its own."""
        shifts = rng.standard_normal((len(scaled), self._quantity_numbers.max() + 1), dtype=np.float32)
        shifted: NDArray[np.float32] = (
            scaled + (shifts[:, self._quantity_numbers] * self._feature_shift)[:, np.newaxis, :]
        )
        return shifted


class SwapAndScale:
    """Varies windows that their group's normal shows, so that a few plants teach what is so on all.

    There, all sensors are counted in units of what is usual for them, so what is a fault in one is a fault in
    any other: the two sensors of a pair change places, or the pairs do, in all readings of a window alike.
    And on another plant a calm window strays farther, or a fault less far: Normal windows are stretched, up
    to 3 units, and Faulty ones shrunk, down to 3.8.

    Parameters
    ----------
    unit : one unit in scaled windows.
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
        """Return scaled windows (window, step, feature), each varied in its own way."""
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
    """Return how these settings want windows changed in training, if at all."""
    if settings.baseline != "none":
        return SwapAndScale(1 / float(scale[0]))
    return JointShift(settings.joint_shift, scale) if settings.joint_shift else None
