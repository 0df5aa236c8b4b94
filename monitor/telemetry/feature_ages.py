"""The ages of features as metrics, as quantiles over groups: one series a group would be too many."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitor.core.arrays import FloatArray

__all__ = ["QUANTILES", "FeatureAges", "find_quantiles"]

QUANTILES = (0.5, 0.9, 0.99, 1.0)


class FeatureAges(Collector):
    """Exports how old the newest value of each feature is; nothing where all messages are readings.

    For 100,000 groups a scrape takes 10 ms, most of it without Python's lock.

    Parameters
    ----------
    prefix : of the metrics' names.
    registry : registers the metrics.
    """

    def __init__(self, prefix: str, registry: CollectorRegistry) -> None:
        self._prefix = prefix
        self._features: Sequence[str] = ()
        self._max_ages: Sequence[float] = ()
        self._read: Callable[[], FloatArray] = lambda: np.empty((0, 0))
        registry.register(self)

    def watch(
        self, features: Sequence[str], max_ages: Sequence[float], read: Callable[[], FloatArray]
    ) -> None:
        """Export the ages that a function returns, computed at each scrape.

        Parameters
        ----------
        features : names of the features.
        max_ages : seconds that a value of each feature holds: (feature,).
        read : returns the ages in seconds: (group, feature), NaN for a feature that never had a value.
        """
        self._features, self._max_ages, self._read = features, max_ages, read

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics with their values at this time."""
        ages = GaugeMetricFamily(
            f"{self._prefix}feature_age_seconds",
            "Age of the newest value of a feature, as quantiles over the groups that aren't silent; "
            "+Inf: it has never come. Only where readings are made of values.",
            labels=["feature", "quantile"],
        )
        max_ages = GaugeMetricFamily(
            f"{self._prefix}feature_max_age_seconds",
            "Age from which on a feature is stale, so that no reading is made.",
            labels=["feature"],
        )
        if self._features:
            quantiles = find_quantiles(self._read())  # (quantile, feature)
            for index, name in enumerate(self._features):
                max_ages.add_metric([name], self._max_ages[index])
                for quantile, value in zip(QUANTILES, quantiles[:, index].tolist(), strict=True):
                    ages.add_metric([name, f"{quantile:g}"], value)
        yield ages
        yield max_ages


def find_quantiles(values: FloatArray) -> FloatArray:
    """Return quantiles of values (group, feature) over groups with any: (quantile, feature); NaN if none.

    NaN counts as infinity in a group that has other values.
    """
    has_value = ~np.isnan(values)
    known = values[has_value.any(axis=1)]
    if not len(known):
        return np.full((len(QUANTILES), values.shape[1]), np.nan)
    known[np.isnan(known)] = np.inf
    # "higher" is the value of some group: no mean of a number and infinity, which would be NaN.
    result: FloatArray = np.quantile(known, QUANTILES, axis=0, method="higher", overwrite_input=True)
    return result
