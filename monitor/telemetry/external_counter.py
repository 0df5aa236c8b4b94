"""A Prometheus counter whose value is kept elsewhere."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["ExternalCounter"]


class ExternalCounter(Collector):
    """Exports a count that something else keeps; prometheus_client has this for gauges only.

    Parameters
    ----------
    name, documentation : of the metric; the name without `_total`.
    registry : registers the metric.
    """

    def __init__(self, name: str, documentation: str, registry: CollectorRegistry) -> None:
        self._name = name
        self._documentation = documentation
        self.read: Callable[[], int] = lambda: 0
        """Returns the count; called at each scrape."""
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield the metric with its current value."""
        yield CounterMetricFamily(self._name, self._documentation, self.read())
