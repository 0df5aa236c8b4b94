"""The rows of the table, in the order in which each round runs them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.bench import latency
from tests.bench.config import BenchConfig
from tests.bench.measurements import Measurement
from tests.bench.no_baseline import save_without_baseline
from tests.bench.stage_costs import SUBJECT, measure_stages
from tests.bench.throughput import (
    RESIDENT_MB,
    flood_monitor,
    flood_monitor_per_line,
    flood_mosquitto_sub,
    flood_paho_client,
    flood_raw_subscriber,
    paho_name,
)

__all__ = [
    "BENCHMARKS",
    "BYTES_PER_GROUP",
    "Benchmark",
    "array_monitor_name",
    "bytes_per_group",
    "monitor_name",
]

BYTES_PER_GROUP = "bytes a group"
_RAW_SUBSCRIBER = "raw socket, QoS 0, the broker's ceiling"
_MOSQUITTO_SUB = "mosquitto_sub, QoS 0"
_MONITOR_PER_LINE = "two of ours, a line each, QoS 0"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A row before it is run."""

    name: str
    run: Callable[[BenchConfig], list[Measurement]]

    @property
    def keywords(self) -> list[str]:
        """Return what it is selected by."""
        return self.name.lower().replace(",", "").split()


def monitor_name(group_count: int, qos: int = 0, *, baseline: bool = True) -> str:
    """Return what the monitor is called where it hears so many groups."""
    return f"ours, QoS {qos}, {group_count:,} groups{'' if baseline else ', no baseline'}"


def array_monitor_name(readings_per_message: int) -> str:
    """Return what it is called where a message holds so many readings."""
    return f"ours, QoS 0, {readings_per_message} readings a message"


def _monitor_benchmark(name: str, message_count: int, **options: int) -> Benchmark:
    return Benchmark(name, lambda setting: flood_monitor(setting, name, message_count, **options))


def _no_baseline_benchmark(group_count: int, message_count: int) -> Benchmark:
    """Return the row of a bundle that has no baseline."""
    name = monitor_name(group_count, baseline=False)

    def run(setting: BenchConfig) -> list[Measurement]:
        bundle = save_without_baseline(setting.bundle, setting.folder / "plain")
        return flood_monitor(replace(setting, bundle=bundle), name, message_count, group_count=group_count)

    return Benchmark(name, run)


def _paho_benchmark(name: str, client_kind: str, message_count: int, **options: int) -> Benchmark:
    return Benchmark(
        name, lambda setting: flood_paho_client(setting, name, client_kind, message_count, **options)
    )


# As many messages as keep each busy for a few seconds.
BENCHMARKS = (
    Benchmark(_RAW_SUBSCRIBER, lambda setting: flood_raw_subscriber(setting, _RAW_SUBSCRIBER, 300_000)),
    _paho_benchmark(paho_name(0), "paho", 300_000),
    _paho_benchmark(paho_name(1), "paho", 200_000, qos=1),
    Benchmark(_MOSQUITTO_SUB, lambda setting: flood_mosquitto_sub(setting, _MOSQUITTO_SUB, 300_000)),
    _paho_benchmark("paho and ONNX Runtime a message", "onnx", 60_000),
    _paho_benchmark("paho and Keras predict a message", "keras", 150, groups=10),
    _monitor_benchmark(monitor_name(100), 200_000, groups=100),
    _monitor_benchmark(monitor_name(1_000), 300_000),
    _monitor_benchmark(monitor_name(10_000), 200_000, groups=10_000),
    _monitor_benchmark(monitor_name(100_000), 300_000, groups=100_000),
    _no_baseline_benchmark(1_000, 300_000),
    _no_baseline_benchmark(10_000, 200_000),
    _no_baseline_benchmark(100_000, 100_000),
    _monitor_benchmark(monitor_name(1_000, 1), 150_000, qos=1),
    Benchmark(_MONITOR_PER_LINE, lambda setting: flood_monitor_per_line(setting, _MONITOR_PER_LINE, 300_000)),
    _monitor_benchmark(array_monitor_name(10), 50_000, array=10),
    _monitor_benchmark(array_monitor_name(100), 8_000, array=100),
    Benchmark("echo, latency", latency.measure_echo),
    Benchmark("ours, latency", latency.measure_monitor),
    Benchmark(SUBJECT, measure_stages),
)


def bytes_per_group(measurements: list[Measurement]) -> list[Measurement]:
    """Return what a group takes, as 90,000 more of them show it; nothing where that wasn't measured."""
    resident_by_subject = {
        measurement.subject: measurement.value
        for measurement in measurements
        if measurement.quantity == RESIDENT_MB
    }
    per_group = []
    for baseline in (True, False):
        resident_10k, resident_100k = (
            resident_by_subject.get(monitor_name(count, baseline=baseline)) for count in (10_000, 100_000)
        )
        if resident_10k is not None and resident_100k is not None:
            value = (resident_100k - resident_10k) * (1 << 20) / 90_000
            per_group.append(Measurement(monitor_name(100_000, baseline=baseline), BYTES_PER_GROUP, value))
    return per_group
