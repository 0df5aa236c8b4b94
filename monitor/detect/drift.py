"""Measures drift: the difference between the distributions of the model's input now and in training.

The inputs are counted in bins whose edges are the deciles of the training data. The population stability
index (PSI) compares two histograms: the sum over the bins of (now - then) * ln(now / then), where `now` and
`then` are the shares of the values in the bin. By convention, a PSI below 0.1 means the same distribution,
and a PSI above 0.25 a different distribution: then the model should be trained again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.manifest import Distribution
from monitor.core.arrays import FloatArray

__all__ = ["DriftCounts", "DriftStage", "fit_distribution"]

# Counts decay exponentially with this number of readings as the time constant. This is a day with six groups
# that send every 5 s; with more groups it is less time.
_DECAY_READINGS = 100_000
# With fewer readings the PSI is not significant: with 1,000, chance alone gives a PSI of about 0.01.
_MIN_READINGS = 1000
_DECILES = np.arange(0.1, 0.95, 0.1)
# Share of the training values beyond either end of the range, so that no single reading decides the range.
_TAIL_SHARE = 0.001
# Minimum share of a bin in the PSI, because the logarithm of 0 is infinite.
_MIN_SHARE = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class DriftCounts:
    """Weighted numbers of readings. Counts of several processes can be added."""

    bins: FloatArray
    """Number of readings by feature and bin of the training data: (feature, bin)."""
    beyond: FloatArray
    """Number of readings outside `low` to `high` of the training data, by feature: (feature,)."""
    total: float
    """Number of all readings."""

    def __add__(self, other: "DriftCounts") -> "DriftCounts":
        """Return the sum of two counts with the same bins."""
        return DriftCounts(self.bins + other.bins, self.beyond + other.beyond, self.total + other.total)

    def __mul__(self, weight: float) -> "DriftCounts":
        """Return the counts multiplied by a weight."""
        return DriftCounts(self.bins * weight, self.beyond * weight, self.total * weight)


def fit_distribution(values: FloatArray) -> Distribution:
    """Return the distribution of the healthy values of one feature: (reading,), at least one reading."""
    deciles = np.unique(np.quantile(values, _DECILES))
    edges = deciles[deciles > values.min()]  # the bin below the minimum would always be empty
    shares = _histogram(values, edges) / len(values)
    low, high = np.quantile(values, [_TAIL_SHARE, 1 - _TAIL_SHARE]).tolist()
    if low == high:  # the feature is nearly constant; its rare other values are part of the range
        low, high = float(values.min()), float(values.max())
    return Distribution(low, high, tuple(edges.tolist()), tuple(shares.tolist()))


class DriftStage:
    """Counts the model's inputs, and compares their distribution with the training data's.

    The counts are lost when the process ends.

    Parameters
    ----------
    names : the feature names in order.
    reference : feature -> distribution in training, of the features to compare; None if the bundle has none,
        which turns the stage off.
    """

    def __init__(self, names: Sequence[str], reference: Mapping[str, Distribution] | None) -> None:
        self.feature_names = tuple(name for name in names if name in (reference or {}))
        """The features that are compared."""
        self.reference = [reference[name] for name in self.feature_names] if reference else []
        """Distribution in training of each compared feature."""
        self._columns = [names.index(name) for name in self.feature_names]
        self._edges = [np.array(distribution.edges) for distribution in self.reference]
        bins = max((len(distribution.shares) for distribution in self.reference), default=0)
        # (feature, bin); a feature with fewer bins has 0 in the remaining ones.
        self._reference_shares = np.zeros((len(self.reference), bins))
        for row, distribution in zip(self._reference_shares, self.reference, strict=True):
            row[: len(distribution.shares)] = distribution.shares
        self._low = np.array([distribution.low for distribution in self.reference])  # (feature,)
        self._high = np.array([distribution.high for distribution in self.reference])  # (feature,)
        self.counts = DriftCounts(np.zeros_like(self._reference_shares), np.zeros(len(self.reference)), 0.0)
        """Counts so far. The object is replaced and never modified, so that another thread may read it."""

    def add(self, values: FloatArray) -> None:
        """Count model inputs: (reading, feature)."""
        if not self.reference or not len(values):
            return
        decay = float(np.exp(-len(values) / _DECAY_READINGS))
        self.counts = self.counts * decay + self._count(values)

    def _count(self, values: FloatArray) -> DriftCounts:
        """Return the counts of readings (reading, feature)."""
        bins, beyond = np.zeros_like(self._reference_shares), np.zeros(len(self.reference))
        columns = values.T[self._columns]  # (compared feature, reading)
        for feature, (column, edges) in enumerate(zip(columns, self._edges, strict=True)):
            bins[feature, : len(edges) + 1] += _histogram(column, edges)
            beyond[feature] += np.count_nonzero(column < self._low[feature])
            beyond[feature] += np.count_nonzero(column > self._high[feature])
        return DriftCounts(bins, beyond, float(len(values)))

    def take_over_counts(self, other: "DriftStage") -> None:
        """Continue with the counts of another stage, if both have the same reference."""
        if other.reference == self.reference:
            self.counts = other.counts

    def psi(self) -> FloatArray:
        """Return the population stability index of each feature; 0 until there are enough readings."""
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
        """Return for each feature the share of readings outside `low` to `high`; 0 until there are enough."""
        counts = self.counts
        return (
            counts.beyond / counts.total if counts.total >= _MIN_READINGS else np.zeros(len(self.reference))
        )


def _histogram(values: FloatArray, edges: FloatArray) -> NDArray[np.intp]:
    """Return the number of values (reading,) in each bin between the edges: (bin,)."""
    # For thousands of values this takes a fifth of the time of searching each value's bin.
    above = [np.count_nonzero(values >= edge) for edge in edges]
    return -np.diff([len(values), *above, 0])
