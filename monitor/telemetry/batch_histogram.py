"""A Prometheus histogram that takes a batch of observations at once."""

import threading
from collections.abc import Iterator, Sequence

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from monitor.core.arrays import FloatArray

__all__ = ["BatchHistogram"]


class BatchHistogram(Collector):
    """Counts observations by bucket, a batch at once; prometheus_client's own takes 0.4 µs for each.

    Parameters
    ----------
    name, documentation : of the metric.
    edges : upper bounds of the buckets, increasing; a last bucket without a bound (+Inf) is added.
    registry : registers the metric.
    """

    def __init__(
        self, name: str, documentation: str, edges: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._edges = np.array(edges)
        self._counts = np.zeros(len(edges) + 1, dtype=np.int64)
        self._sum = 0.0
        self._lock = threading.Lock()
        registry.register(self)

    def observe(self, values: FloatArray) -> None:
        """Add observations (value,)."""
        buckets = self._edges.searchsorted(values)  # a value equal to an edge counts in the bucket below it
        with self._lock:
            np.add.at(self._counts, buckets, 1)
            self._sum += float(values.sum())

    def collect(self) -> Iterator[Metric]:
        """Yield the metric with its current counts."""
        with self._lock:
            cumulative_counts, total = np.cumsum(self._counts).tolist(), self._sum
        bucket_labels = [floatToGoString(edge) for edge in [*self._edges.tolist(), np.inf]]  # type: ignore[no-untyped-call]
        family = HistogramMetricFamily(self._name, self._documentation)
        family.add_metric([], list(zip(bucket_labels, cumulative_counts, strict=True)), total)
        yield family
