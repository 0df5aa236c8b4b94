"""Which sensors measure the same, and what they say against each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.medians import median

__all__ = ["Quantities", "find_neighbours", "quantity_name", "quantity_numbers"]

_PAIR_SIZE = 2


def quantity_name(name: str) -> str:
    """Return what a feature measures: its name up to the last `_`, or all of a name that has none."""
    return name.rpartition("_")[0] or name


def quantity_numbers(names: Sequence[str]) -> IndexArray:
    """Return which quantity each feature is of, numbered from 0 in alphabetical order: (feature,)."""
    numbers = {kind: number for number, kind in enumerate(sorted(set(map(quantity_name, names))))}
    return np.array([numbers[quantity_name(name)] for name in names], dtype=np.intp)


def find_neighbours(names: Sequence[str], index: int) -> list[int]:
    """Return the other features of a feature's quantity."""
    numbers = quantity_numbers(names)
    return [other for other in np.flatnonzero(numbers == numbers[index]).tolist() if other != index]


class Quantities:
    """Compares the features of each quantity.

    What the two of a pair say against each other is told once, by the first, and by a feature that is no
    pair's for itself: (..., told). `expand` and `expand_signed` make it (..., feature).
    """

    def __init__(self, names: Sequence[str]) -> None:
        quantities = [quantity_name(name) for name in names]
        members = [
            np.flatnonzero([kind == other for other in quantities]) for kind in dict.fromkeys(quantities)
        ]
        pairs = [indices.tolist() for indices in members if len(indices) == _PAIR_SIZE]
        self._first, self._second = (
            np.array([pair[n] for pair in pairs], dtype=np.intp) for n in range(_PAIR_SIZE)
        )
        first_by_second = {other: one for one, other in pairs}
        self.representatives: IndexArray = np.array(
            [n for n in range(len(quantities)) if n not in first_by_second]
        )
        """The features that tell: (told,)."""
        self.has_neighbours: NDArray[np.bool_] = np.array(
            [quantities.count(quantities[n]) > 1 for n in self.representatives]
        )
        """Whether there is another feature of the same quantity: (told,)."""
        # Which of `representatives` tells each feature's: (feature,).
        self._representative_index = np.searchsorted(
            self.representatives, [first_by_second.get(n, n) for n in range(len(quantities))]
        )
        self._signs = np.array([-1.0 if n in first_by_second else 1.0 for n in range(len(quantities))])[
            None
        ]  # (1, feature)
        self._pair_positions = self._representative_index[
            self._first
        ]  # where they stand among those that tell
        self._larger_quantities = [
            (indices, self._representative_index[indices]) for indices in members if len(indices) > _PAIR_SIZE
        ]
        # Nearly all are pairs, and they are what each window costs.
        self._has_only_pairs = len(pairs) == len(self.representatives)

    # `take` costs a quarter of what indexing with an array does, where few values are taken; where many are,
    # they stand side by side in what it returns, and that is fast to compute with.

    def expand(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return for each feature what is told of its pair, or of itself (..., told): (..., feature)."""
        return values.take(self._representative_index, axis=-1)

    def expand_signed(self, deviations: FloatArray) -> FloatArray:
        """Return how far each feature is apart: the other of a pair goes the other way (..., feature)."""
        found: FloatArray = deviations.take(self._representative_index, axis=-1) * self._signs
        return found

    def deviations(self, values: FloatArray) -> FloatArray:
        """Take off what a quantity's features (..., feature) have in common: their median (..., told)."""
        first, second = self._split_pairs(values)
        half: FloatArray = (first - second) * 0.5
        if self._has_only_pairs:
            return half
        found = values.take(self.representatives, axis=-1)
        found[..., self._pair_positions] = half
        for members, positions in self._larger_quantities:
            found[..., positions] -= median(values.take(members, axis=-1))
        return found

    def common_magnitude(self, values: FloatArray) -> FloatArray:
        """Return how far from 0 all of a quantity (..., feature) are at least; 0 of one alone (..., told)."""
        sizes = np.abs(values)
        found = self._scatter_pairs(np.minimum(*self._split_pairs(sizes)))
        for members, positions in self._larger_quantities:
            found[..., positions] = sizes.take(members, axis=-1).min(axis=-1, keepdims=True)
        return found

    def select_least_moved(self, moves: FloatArray, values: FloatArray) -> FloatArray:
        """Return the value of the one of a quantity that moved least (..., told).

        It is 0 where a feature is alone: nothing tells what it should have done.

        Parameters
        ----------
        moves : how far each one moved (..., feature).
        values : what is asked for (..., feature).
        """
        sizes = np.abs(moves)
        found = self._scatter_pairs(
            np.where(np.less_equal(*self._split_pairs(sizes)), *self._split_pairs(values))
        )
        for members, positions in self._larger_quantities:
            least = sizes.take(members, axis=-1).argmin(axis=-1, keepdims=True)
            found[..., positions] = np.take_along_axis(values.take(members, axis=-1), least, axis=-1)
        return found

    def maximum(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the largest value of a quantity (..., feature): (..., told)."""
        found = values.take(self.representatives, axis=-1)
        found[..., self._pair_positions] = np.maximum(*self._split_pairs(values))
        for members, positions in self._larger_quantities:
            found[..., positions] = values.take(members, axis=-1).max(axis=-1, keepdims=True)
        return found

    def _split_pairs(self, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the first of each pair, and the other, of all features (..., feature): (..., pair) each."""
        return values.take(self._first, axis=-1), values.take(self._second, axis=-1)

    def _scatter_pairs(self, pair_values: FloatArray) -> FloatArray:
        """Return what was found of the pairs (..., pair), and 0 of the others (..., told)."""
        if self._has_only_pairs:
            return pair_values
        result = np.zeros((*pair_values.shape[:-1], len(self.representatives)))
        result[..., self._pair_positions] = pair_values
        return result
