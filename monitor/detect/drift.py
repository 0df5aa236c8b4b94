"""Does what comes still look like what the model was trained on? Counts by training's own deciles.

A population stability index (PSI) compares two histograms: the sum of (now - then) * ln(now / then) over the
shares in each bin. By custom below 0.1 is the same, above 0.25 another population: time to train again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.manifest import Distribution
from monitor.core.arrays import FloatArray

__all__ = ["DriftCounts", "DriftStage", "fit_distribution"]

# Older readings count less and less: these many are what counts, a day of six groups every 5 s. Where more
# groups speak it is a shorter time, of more of them.
_DECAY_READINGS = 100_000
# Fewer say nothing: of so many, chance alone makes a PSI of about 0.01.
_MIN_READINGS = 1000
_DECILES = np.arange(0.1, 0.95, 0.1)
# One reading mustn't decide what is far, so this share at either end doesn't.
_TAIL_SHARE = 0.001
# In the place of an empty bin's share, for there is no logarithm of 0.
_MIN_SHARE = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class DriftCounts:
    """Weighted numbers of readings. The counts of several processes can be added to those of all their readings."""

    bins: FloatArray
    """By feature and bin of the training data: (feature, bin)."""
    beyond: FloatArray
    """Those outside `low` to `high` of the training data: (feature,)."""
    total: float
    """All of them."""

    def __add__(self, other: "DriftCounts") -> "DriftCounts":
        """Return the counts of both, which must be of the same training data."""
        return DriftCounts(self.bins + other.bins, self.beyond + other.beyond, self.total + other.total)

    def __mul__(self, weight: float) -> "DriftCounts":
        """Return the counts with another weight."""
        return DriftCounts(self.bins * weight, self.beyond * weight, self.total * weight)


def fit_distribution(values: FloatArray) -> Distribution:
    """Learn a feature's distribution of its healthy values (reading,), at least one."""
    deciles = np.unique(np.quantile(values, _DECILES))
    edges = deciles[deciles > values.min()]  # below the least value no bin would ever be filled
    shares = _histogram(values, edges) / len(values)
    low, high = np.quantile(values, [_TAIL_SHARE, 1 - _TAIL_SHARE]).tolist()
    if low == high:  # it hardly ever changes, and what it changed to is part of it
        low, high = float(values.min()), float(values.max())
    return Distribution(low, high, tuple(edges.tolist()), tuple(shares.tolist()))


class DriftStage:
    """Counts what enters the scaler, and compares it with training. What it counted isn't kept anywhere.

    Parameters
    ----------
    names : the features, in order.
    reference : of each feature; None where the bundle doesn't say, and then there is nothing to compare with.
    """

    def __init__(self, names: Sequence[str], reference: Mapping[str, Distribution] | None) -> None:
        self.reference = [reference[name] for name in names] if reference else []
        """Of each feature that is compared."""
        self.feature_names = tuple(names) if reference else ()
        """The features that are compared."""
        self._edges = [np.array(distribution.edges) for distribution in self.reference]
        bins = max((len(distribution.shares) for distribution in self.reference), default=0)
        self._reference_shares = np.zeros(
            (len(self.reference), bins)
        )  # (feature, bin); what a feature lacks stays 0
        for row, distribution in zip(self._reference_shares, self.reference, strict=True):
            row[: len(distribution.shares)] = distribution.shares
        self._low = np.array([distribution.low for distribution in self.reference])  # (feature,)
        self._high = np.array([distribution.high for distribution in self.reference])  # (feature,)
        self.counts = DriftCounts(np.zeros_like(self._reference_shares), np.zeros(len(self.reference)), 0.0)
        """Replaced and never changed, so that another thread may read it."""

    def add(self, values: FloatArray) -> None:
        """Count readings as they enter the scaler: (reading, feature)."""
        if not self.reference or not len(values):
            return
        decay = float(np.exp(-len(values) / _DECAY_READINGS))
        self.counts = self.counts * decay + self._count(values)

    def _count(self, values: FloatArray) -> DriftCounts:
        """Return the counts of readings (reading, feature)."""
        bins, beyond = np.zeros_like(self._reference_shares), np.zeros(len(self.reference))
        columns = values.T.copy()  # (feature, reading)
        for feature, (column, edges) in enumerate(zip(columns, self._edges, strict=True)):
            bins[feature, : len(edges) + 1] += _histogram(column, edges)
            beyond[feature] += np.count_nonzero(column < self._low[feature])
            beyond[feature] += np.count_nonzero(column > self._high[feature])
        return DriftCounts(bins, beyond, float(len(values)))

    def take_over_counts(self, other: "DriftStage") -> None:
        """Go on with what another one counted, if it compares with the same training."""
        if other.reference == self.reference:
            self.counts = other.counts

    def psi(self) -> FloatArray:
        """Return the population stability index of each feature, 0 before there are enough readings."""
        counts = self.counts
        if counts.total < _MIN_READINGS:
            return np.zeros(len(self.reference))
        current_shares = np.maximum(counts.bins / counts.total, _MIN_SHARE)
        reference_shares = np.maximum(self._reference_shares, _MIN_SHARE)
        index: FloatArray = (
            (current_shares - reference_shares) * np.log(current_shares / reference_shares)
        ).sum(axis=1)  # (feature,)
        return index

    def beyond_training_ratio(self) -> FloatArray:
        """Return the share of readings outside `low` to `high`, of each feature; 0 while they are few."""
        counts = self.counts
        return (
            counts.beyond / counts.total if counts.total >= _MIN_READINGS else np.zeros(len(self.reference))
        )


def _histogram(values: FloatArray, edges: FloatArray) -> NDArray[np.intp]:
    """Return how many values (reading,) are in each bin."""
    # Of thousands this takes a fifth of the time that it takes to look for each value's bin.
    above = [np.count_nonzero(values >= edge) for edge in edges]
    return -np.diff([len(values), *above, 0])
