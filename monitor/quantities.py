"""Which sensors measure the same, and what they say against each other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.records import FloatArray
from monitor.rows import IndexArray

__all__ = ["Quantities"]

_PAIR = 2


class Quantities:
    """Which features are of one quantity: those whose names differ after the last `_` only."""

    def __init__(self, names: Sequence[str]) -> None:
        kinds = [name.rpartition("_")[0] or name for name in names]
        self._members = [np.flatnonzero([kind == other for other in kinds]) for kind in dict.fromkeys(kinds)]
        self.shared: NDArray[np.bool_] = np.array([kinds.count(kind) > 1 for kind in kinds])
        """Whether a feature has another beside it: (feature,)."""
        pairs = [members.tolist() for members in self._members if len(members) == _PAIR]
        # Nearly all are pairs, and they are what each window costs.
        self._one, self._other = (_places([pair[which] for pair in pairs]) for which in range(_PAIR))
        self._more = [members for members in self._members if len(members) > _PAIR]
        second = {other: one for one, other in pairs}
        self.telling: IndexArray = np.array([n for n in range(len(kinds)) if n not in second])
        """The features whose `apart` tells all; the other of a pair has the opposite: (told,)."""
        told = [second.get(n, n) for n in range(len(kinds))]
        self.told_by: IndexArray = np.searchsorted(self.telling, told)
        """Which of `telling` tells each feature's: (feature,)."""
        self._sign = np.array([-1.0 if n in second else 1.0 for n in range(len(kinds))])  # (feature,)

    def everywhere(self, told: FloatArray) -> FloatArray:
        """Return how far each feature is apart, from those of `telling` (row, told): (row, feature)."""
        apart: FloatArray = told[:, self.told_by] * self._sign
        return apart

    def apart(self, values: FloatArray) -> FloatArray:
        """Take off what the features of a quantity have in common: their median (..., feature)."""
        left = values.copy()
        half = (values[..., self._one] - values[..., self._other]) / 2
        left[..., self._one] = half
        left[..., self._other] = -half
        for members in self._more:
            left[..., members] -= np.median(values[..., members], axis=-1, keepdims=True)
        return left

    def shared_size(self, values: FloatArray) -> FloatArray:
        """Return how far from 0 all of a quantity are at least; 0 where one is alone (..., feature)."""
        found = np.zeros_like(values)
        sizes = np.abs(values)
        least = np.minimum(sizes[..., self._one], sizes[..., self._other])
        found[..., self._one] = least
        found[..., self._other] = least
        for members in self._more:
            found[..., members] = sizes[..., members].min(axis=-1, keepdims=True)
        return found

    def quietest(self, moves: FloatArray, values: FloatArray) -> FloatArray:
        """Return, for each feature, the value of its quantity's that moved least (..., feature).

        It is 0 where a feature is alone: nothing tells what it should have done.

        Parameters
        ----------
        moves : how far each one moved (..., feature).
        values : what is asked for (..., feature).
        """
        found = np.zeros_like(values)
        for members in self._members:
            if len(members) > 1:
                least = np.abs(moves[..., members]).argmin(axis=-1)
                found[..., members] = np.take_along_axis(values[..., members], least[..., None], axis=-1)
        return found

    def largest(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return, for each feature, its quantity's largest value (row, feature)."""
        found = values.copy()
        for members in self._members:
            found[:, members] = values[:, members].max(axis=1, keepdims=True)
        return found


def _places(features: list[int]) -> IndexArray | slice:
    """Return where these features are; a slice where they stand side by side, which makes no copies."""
    if features and features == list(range(features[0], features[-1] + 1)):
        return slice(features[0], features[-1] + 1)
    return np.array(features, dtype=np.intp)
