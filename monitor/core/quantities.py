"""Which sensors measure the same, and what they say against each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.medians import median

__all__ = ["Quantities", "neighbours", "quantity", "quantity_numbers"]

_PAIR = 2


def quantity(name: str) -> str:
    """Return what a feature measures: its name up to the last `_`, or all of a name that has none."""
    return name.rpartition("_")[0] or name


def quantity_numbers(names: Sequence[str]) -> IndexArray:
    """Return which quantity each feature is of, numbered from 0 in alphabetical order: (feature,)."""
    numbers = {kind: number for number, kind in enumerate(sorted(set(map(quantity, names))))}
    return np.array([numbers[quantity(name)] for name in names], dtype=np.intp)


def neighbours(names: Sequence[str], index: int) -> list[int]:
    """Return the other features of a feature's quantity."""
    numbers = quantity_numbers(names)
    return [other for other in np.flatnonzero(numbers == numbers[index]).tolist() if other != index]


class Quantities:
    """Compares the features of each quantity.

    What the two of a pair say against each other is told once, by the first, and by a feature that is no
    pair's for itself: (..., told). `each` and `everywhere` make it (..., feature).
    """

    def __init__(self, names: Sequence[str]) -> None:
        kinds = [quantity(name) for name in names]
        members = [np.flatnonzero([kind == other for other in kinds]) for kind in dict.fromkeys(kinds)]
        pairs = [few.tolist() for few in members if len(few) == _PAIR]
        self._one, self._other = (np.array([pair[n] for pair in pairs], dtype=np.intp) for n in range(_PAIR))
        second = {other: one for one, other in pairs}
        self.telling: IndexArray = np.array([n for n in range(len(kinds)) if n not in second])
        """The features that tell: (told,)."""
        self.shared: NDArray[np.bool_] = np.array([kinds.count(kinds[n]) > 1 for n in self.telling])
        """Whether there is another feature of the same quantity: (told,)."""
        # Which of `telling` tells each feature's: (feature,).
        self._told_by = np.searchsorted(self.telling, [second.get(n, n) for n in range(len(kinds))])
        self._sign = np.array([-1.0 if n in second else 1.0 for n in range(len(kinds))])[None]  # (1, feature)
        self._pairs = self._told_by[self._one]  # where they stand among those that tell
        self._more = [(few, self._told_by[few]) for few in members if len(few) > _PAIR]
        # Nearly all are pairs, and they are what each window costs.
        self._only_pairs = len(pairs) == len(self.telling)

    # `take` costs a quarter of what indexing with an array does, where few values are taken; where many are,
    # they stand side by side in what it returns, and that is fast to compute with.

    def each(self, told: NDArray[Any]) -> NDArray[Any]:
        """Return for each feature what is told of its pair, or of itself (..., told): (..., feature)."""
        return told.take(self._told_by, axis=-1)

    def everywhere(self, apart: FloatArray) -> FloatArray:
        """Return how far each feature is apart: the other of a pair goes the other way (..., feature)."""
        found: FloatArray = apart.take(self._told_by, axis=-1) * self._sign
        return found

    def apart(self, values: FloatArray) -> FloatArray:
        """Take off what a quantity's features (..., feature) have in common: their median (..., told)."""
        one, other = self._both(values)
        half: FloatArray = (one - other) * 0.5
        if self._only_pairs:
            return half
        found = values.take(self.telling, axis=-1)
        found[..., self._pairs] = half
        for members, places in self._more:
            found[..., places] -= median(values.take(members, axis=-1))
        return found

    def shared_size(self, values: FloatArray) -> FloatArray:
        """Return how far from 0 all of a quantity (..., feature) are at least; 0 of one alone (..., told)."""
        sizes = np.abs(values)
        found = self._of_pairs(np.minimum(*self._both(sizes)))
        for members, places in self._more:
            found[..., places] = sizes.take(members, axis=-1).min(axis=-1, keepdims=True)
        return found

    def quietest(self, moves: FloatArray, values: FloatArray) -> FloatArray:
        """Return the value of the one of a quantity that moved least (..., told).

        It is 0 where a feature is alone: nothing tells what it should have done.

        Parameters
        ----------
        moves : how far each one moved (..., feature).
        values : what is asked for (..., feature).
        """
        sizes = np.abs(moves)
        found = self._of_pairs(np.where(np.less_equal(*self._both(sizes)), *self._both(values)))
        for members, places in self._more:
            least = sizes.take(members, axis=-1).argmin(axis=-1, keepdims=True)
            found[..., places] = np.take_along_axis(values.take(members, axis=-1), least, axis=-1)
        return found

    def largest(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the largest value of a quantity (..., feature): (..., told)."""
        found = values.take(self.telling, axis=-1)
        found[..., self._pairs] = np.maximum(*self._both(values))
        for members, places in self._more:
            found[..., places] = values.take(members, axis=-1).max(axis=-1, keepdims=True)
        return found

    def _both(self, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the first of each pair, and the other, of all features (..., feature): (..., pair) each."""
        return values.take(self._one, axis=-1), values.take(self._other, axis=-1)

    def _of_pairs(self, found: FloatArray) -> FloatArray:
        """Return what was found of the pairs (..., pair), and 0 of the others (..., told)."""
        if self._only_pairs:
            return found
        told = np.zeros((*found.shape[:-1], len(self.telling)))
        told[..., self._pairs] = found
        return told
