"""What offsets would be called Faulty, as quantiles over groups: one series a group would be too many."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitor.core.arrays import FloatArray
from monitor.telemetry.feature_ages import QUANTILES, find_quantiles

__all__ = ["Sensitivity"]


class Sensitivity(Collector):
    """Exports the smallest offset of each feature that would be called Faulty; nothing without a baseline.

    Parameters
    ----------
    prefix : of the metric's name.
    registry : registers the metric.
    """

    def __init__(self, prefix: str, registry: CollectorRegistry) -> None:
        self._prefix = prefix
        self._features: Sequence[str] = ()
        self._read: Callable[[], FloatArray] = lambda: np.empty((0, 0))
        registry.register(self)

    def watch(self, features: Sequence[str], read: Callable[[], FloatArray]) -> None:
        """Export the offsets that a function returns, computed at each scrape.

        Parameters
        ----------
        features : names of the features.
        read : returns the offsets: (group, feature), NaN for a group without a baseline.
        """
        self._features, self._read = features, read

    def collect(self) -> Iterator[Metric]:
        """Yield the metric with its values at this time."""
        offsets = GaugeMetricFamily(
            f"{self._prefix}shows_from",
            "Smallest offset of a feature that would be called Faulty now, in the feature's unit, as "
            "quantiles over the groups with a baseline; +Inf: none would be. Only where the bundle has a "
            "baseline.",
            labels=["feature", "quantile"],
        )
        table = self._read()
        if table.size:
            quantiles = find_quantiles(table)  # (quantile, feature)
            for index, name in enumerate(self._features):
                for quantile, value in zip(QUANTILES, quantiles[:, index].tolist(), strict=True):
                    offsets.add_metric([name, f"{quantile:g}"], value)
        yield offsets
