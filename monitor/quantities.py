"""Which sensors measure the same, and what they say against each other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.records import FloatArray

__all__ = ["Quantities"]

_PAIR = 2


class Quantities:
    """Which features are of one quantity: those whose names differ after the last `_` only."""

    def __init__(self, names: Sequence[str]) -> None:
        kinds = [name.rpartition("_")[0] or name for name in names]
        self._members = [np.flatnonzero([kind == other for other in kinds]) for kind in dict.fromkeys(kinds)]
        self.shared: NDArray[np.bool_] = np.array([kinds.count(kind) > 1 for kind in kinds])
        """Whether a feature has another beside it: (feature,)."""

    def apart(self, values: FloatArray) -> FloatArray:
        """Take off what the features of a quantity have in common: their median (..., feature)."""
        left = values.copy()
        for members in self._members:
            if len(members) == _PAIR:  # nearly all are, and this is what each window costs
                one, other = members
                half = (values[..., one] - values[..., other]) / 2
                left[..., one], left[..., other] = half, -half
            elif len(members) > _PAIR:
                left[..., members] -= np.median(values[..., members], axis=-1, keepdims=True)
        return left

    def shared_size(self, values: FloatArray) -> FloatArray:
        """Return how far from 0 all of a quantity are at least; 0 where one is alone (..., feature)."""
        found = np.zeros_like(values)
        for members in self._members:
            if len(members) == _PAIR:
                one, other = members
                sizes = np.minimum(np.abs(values[..., one]), np.abs(values[..., other]))
                found[..., one] = found[..., other] = sizes
            elif len(members) > _PAIR:
                found[..., members] = np.abs(values[..., members]).min(axis=-1, keepdims=True)
        return found

    def quietest(self, values: FloatArray) -> FloatArray:
        """Return, for each feature, its quantity's value nearest to 0; 0 where it is alone (row, feature)."""
        found = np.zeros_like(values)
        for members in self._members:
            if len(members) > 1:
                nearest = np.abs(values[:, members]).argmin(axis=1)
                found[:, members] = values[np.arange(len(values)), members[nearest]][:, None]
        return found

    def largest(self, values: FloatArray) -> FloatArray:
        """Return, for each feature, its quantity's largest value (row, feature)."""
        found = values.copy()
        for members in self._members:
            found[:, members] = values[:, members].max(axis=1, keepdims=True)
        return found
