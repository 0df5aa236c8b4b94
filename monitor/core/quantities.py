"""Finds the features that measure the same quantity, and how far each deviates from the others."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.medians import median

__all__ = ["Quantities", "describe_lone_features", "find_neighbours", "quantity_name", "quantity_numbers"]

_PAIR_SIZE = 2


def quantity_name(name: str) -> str:
    """Return the quantity that a feature measures if nothing else is said.

    That is its name up to the last `_`, or all of it without `_`.
    """
    return name.rpartition("_")[0] or name


def quantity_numbers(quantities: Sequence[str]) -> IndexArray:
    """Return the number of each feature's quantity, counted from 0 in alphabetical order: (feature,).

    Parameters
    ----------
    quantities : the quantity of each feature (feature,).
    """
    numbers = {quantity: number for number, quantity in enumerate(sorted(set(quantities)))}
    return np.array([numbers[quantity] for quantity in quantities], dtype=np.intp)


def find_neighbours(quantities: Sequence[str], index: int) -> list[int]:
    """Return the indices of the other features that measure the same quantity as feature `index`.

    Parameters
    ----------
    quantities : the quantity of each feature (feature,).
    """
    return [
        other for other, quantity in enumerate(quantities) if other != index and quantity == quantities[index]
    ]


def describe_lone_features(names: Sequence[str], quantities: Sequence[str]) -> list[str]:
    """Return a note for users on each feature that no other can be compared with.

    Parameters
    ----------
    names, quantities : the name and the quantity of each feature (feature,).
    """
    return [
        f"{name} has no neighbour: only limits, spikes and stillness can be found"
        for index, name in enumerate(names)
        if not find_neighbours(quantities, index)
    ]


class Quantities:
    """Compares the features of each quantity with one another.

    The deviations of the two features of a pair are equal but for their sign, so they are computed once, for
    the first feature of the pair. Results have one entry per *representative*: the first feature of each
    pair, and every feature of a quantity that has one feature or more than two. `expand` and `expand_signed`
    turn an array (..., representative) into (..., feature).

    Parameters
    ----------
    quantities : the quantity of each feature (feature,).
    """

    def __init__(self, quantities: Sequence[str]) -> None:
        indices_by_quantity = [
            np.flatnonzero([quantity == other for other in quantities])
            for quantity in dict.fromkeys(quantities)
        ]
        pairs = [indices.tolist() for indices in indices_by_quantity if len(indices) == _PAIR_SIZE]
        self._first, self._second = (
            np.array([pair[n] for pair in pairs], dtype=np.intp) for n in range(_PAIR_SIZE)
        )
        first_by_second = {second: first for first, second in pairs}
        self.representatives: IndexArray = np.array(
            [n for n in range(len(quantities)) if n not in first_by_second]
        )
        """Feature index of each representative: (representative,)."""
        self.has_neighbours: NDArray[np.bool_] = np.array(
            [quantities.count(quantities[n]) > 1 for n in self.representatives]
        )
        """Whether another feature measures the same quantity: (representative,)."""
        self.lone: IndexArray = self.representatives[~self.has_neighbours]
        """The features without neighbours: (lone,)."""
        # The position in `representatives` of each feature's representative: (feature,).
        self._representative_index = np.searchsorted(
            self.representatives, [first_by_second.get(n, n) for n in range(len(quantities))]
        )
        # -1 for the second feature of a pair, 1 for all others: (1, feature).
        self._signs = np.where(np.isin(np.arange(len(quantities)), self._second), -1.0, 1.0)[None]
        # The position of each pair in `representatives`: (pair,).
        self._pair_positions = self._representative_index[self._first]
        # Quantities of more than two features: (feature indices, their positions in `representatives`).
        self._larger_quantities = [
            (indices, self._representative_index[indices])
            for indices in indices_by_quantity
            if len(indices) > _PAIR_SIZE
        ]
        # Most plants have only pairs, and the methods below run for each window: this case has a faster path.
        self._has_only_pairs = len(pairs) == len(self.representatives)

    # `take` costs a quarter of indexing with an array when few values are taken. When many are, its result is
    # contiguous, which makes the arithmetic on it fast.

    def expand(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return for each feature its representative's value: (..., representative) -> (..., feature)."""
        return values.take(self._representative_index, axis=-1)

    def expand_signed(self, deviations: FloatArray) -> FloatArray:
        """Return each feature's deviation: (..., representative) -> (..., feature).

        The second feature of a pair deviates as far as the first, in the opposite direction.
        """
        result: FloatArray = deviations.take(self._representative_index, axis=-1) * self._signs
        return result

    def deviations(self, values: FloatArray) -> FloatArray:
        """Return each value minus the median of its quantity: (..., feature) -> (..., representative).

        A feature without neighbours keeps its value.
        """
        first, second = self._split_pairs(values)
        half: FloatArray = (first - second) * 0.5
        if self._has_only_pairs:
            return half
        result = values.take(self.representatives, axis=-1)
        result[..., self._pair_positions] = half
        for members, positions in self._larger_quantities:
            result[..., positions] -= median(values.take(members, axis=-1))
        return result

    def common_magnitude(self, values: FloatArray) -> FloatArray:
        """Return the least absolute value in each quantity: (..., feature) -> (..., representative).

        All features of the quantity are at least this far from 0. The result is 0 for a feature without
        neighbours.
        """
        magnitudes = np.abs(values)
        result = self._scatter_pairs(np.minimum(*self._split_pairs(magnitudes)))
        for members, positions in self._larger_quantities:
            result[..., positions] = magnitudes.take(members, axis=-1).min(axis=-1, keepdims=True)
        return result

    def select_least_moved(self, moves: FloatArray, values: FloatArray) -> FloatArray:
        """Return, for each quantity, the value of the feature that moved least: (..., representative).

        The result is 0 for a feature without neighbours, which can't be compared with others.

        Parameters
        ----------
        moves : how far each feature moved (..., feature).
        values : the values to select from (..., feature).
        """
        distances = np.abs(moves)
        result = self._scatter_pairs(
            np.where(np.less_equal(*self._split_pairs(distances)), *self._split_pairs(values))
        )
        for members, positions in self._larger_quantities:
            least = distances.take(members, axis=-1).argmin(axis=-1, keepdims=True)
            result[..., positions] = np.take_along_axis(values.take(members, axis=-1), least, axis=-1)
        return result

    def maximum(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the largest value in each quantity: (..., feature) -> (..., representative)."""
        result = values.take(self.representatives, axis=-1)
        result[..., self._pair_positions] = np.maximum(*self._split_pairs(values))
        for members, positions in self._larger_quantities:
            result[..., positions] = values.take(members, axis=-1).max(axis=-1, keepdims=True)
        return result

    def _split_pairs(self, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the values of the first and of the second feature of each pair: (..., pair) each."""
        return values.take(self._first, axis=-1), values.take(self._second, axis=-1)

    def _scatter_pairs(self, pair_values: FloatArray) -> FloatArray:
        """Place values of pairs (..., pair) into an array that is 0 elsewhere: (..., representative)."""
        if self._has_only_pairs:
            return pair_values
        result = np.zeros((*pair_values.shape[:-1], len(self.representatives)))
        result[..., self._pair_positions] = pair_values
        return result
