"""The benchmarks (rows of the table), in the order in which each round runs them."""

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
    flood_with_values,
    paho_name,
)

__all__ = [
    "BENCHMARKS",
    "BYTES_PER_GROUP",
    "Benchmark",
    "array_monitor_name",
    "bytes_per_group",
    "monitor_name",
    "values_name",
]

BYTES_PER_GROUP = "bytes a group"
_RAW_SUBSCRIBER = "raw socket, QoS 0, the broker's ceiling"
_MOSQUITTO_SUB = "mosquitto_sub, QoS 0"
_MONITOR_PER_LINE = "two of ours, a line each, QoS 0"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark: one row of the table."""

    name: str
    run: Callable[[BenchConfig], list[Measurement]]

    @property
    def keywords(self) -> list[str]:
        """Return the words that select it on the command line."""
        return self.name.lower().replace(",", "").split()


def monitor_name(group_count: int, qos: int = 0, *, baseline: bool = True) -> str:
    """Return the row name of the monitor with `group_count` groups."""
    return f"ours, QoS {qos}, {group_count:,} groups{'' if baseline else ', no baseline'}"


def array_monitor_name(readings_per_message: int) -> str:
    """Return the row name of the monitor with `readings_per_message` readings in a message."""
    return f"ours, QoS 0, {readings_per_message} readings a message"


def values_name(value_format: str, group_count: int, qos: int = 0) -> str:
    """Return the row name of the monitor with one value a message."""
    return f"ours, QoS {qos}, {group_count:,} groups, a {value_format} value a message"


def _values_benchmark(value_format: str, group_count: int, message_count: int, qos: int = 0) -> Benchmark:
    name = values_name(value_format, group_count, qos)
    return Benchmark(
        name,
        lambda config: flood_with_values(
            config, name, message_count, value_format=value_format, group_count=group_count, qos=qos
        ),
    )


def _monitor_benchmark(name: str, message_count: int, **options: int) -> Benchmark:
    return Benchmark(name, lambda config: flood_monitor(config, name, message_count, **options))


def _no_baseline_benchmark(group_count: int, message_count: int) -> Benchmark:
    """Return the benchmark of the monitor with a bundle that has no baseline."""
    name = monitor_name(group_count, baseline=False)

    def run(config: BenchConfig) -> list[Measurement]:
        bundle = save_without_baseline(config.bundle, config.folder / "plain")
        return flood_monitor(replace(config, bundle=bundle), name, message_count, group_count=group_count)

    return Benchmark(name, run)


def _paho_benchmark(name: str, client_kind: str, message_count: int, **options: int) -> Benchmark:
    return Benchmark(
        name, lambda config: flood_paho_client(config, name, client_kind, message_count, **options)
    )


# Message counts keep each subject busy for a few seconds.
BENCHMARKS = (
    Benchmark(_RAW_SUBSCRIBER, lambda config: flood_raw_subscriber(config, _RAW_SUBSCRIBER, 300_000)),
    _paho_benchmark(paho_name(0), "paho", 300_000),
    _paho_benchmark(paho_name(1), "paho", 200_000, qos=1),
    Benchmark(_MOSQUITTO_SUB, lambda config: flood_mosquitto_sub(config, _MOSQUITTO_SUB, 300_000)),
    _paho_benchmark("paho and ONNX Runtime a message", "onnx", 60_000),
    _paho_benchmark("paho and Keras predict a message", "keras", 150, group_count=10),
    _monitor_benchmark(monitor_name(100), 200_000, group_count=100),
    _monitor_benchmark(monitor_name(1_000), 300_000),
    _monitor_benchmark(monitor_name(10_000), 200_000, group_count=10_000),
    _monitor_benchmark(monitor_name(100_000), 300_000, group_count=100_000),
    _no_baseline_benchmark(1_000, 300_000),
    _no_baseline_benchmark(10_000, 200_000),
    _no_baseline_benchmark(100_000, 100_000),
    _monitor_benchmark(monitor_name(1_000, 1), 150_000, qos=1),
    Benchmark(_MONITOR_PER_LINE, lambda config: flood_monitor_per_line(config, _MONITOR_PER_LINE, 300_000)),
    _monitor_benchmark(array_monitor_name(10), 50_000, readings_per_message=10),
    _monitor_benchmark(array_monitor_name(100), 8_000, readings_per_message=100),
    *(
        _values_benchmark(value_format, group_count, message_count, qos)
        for value_format in ("json", "number")
        for group_count, message_count, qos in (
            (1_000, 300_000, 0),
            (1_000, 150_000, 1),
            (10_000, 300_000, 0),
            (100_000, 800_000, 0),
        )
    ),
    Benchmark("echo, latency", latency.measure_echo),
    Benchmark("ours, latency", latency.measure_monitor),
    Benchmark(SUBJECT, measure_stages),
)


def bytes_per_group(measurements: list[Measurement]) -> list[Measurement]:
    """Return the memory of one group, from the difference between 10,000 and 100,000 groups.

    Empty if one of the two wasn't measured.
    """
    resident_by_subject = {
        measurement.subject: measurement.value
        for measurement in measurements
        if measurement.quantity == RESIDENT_MB
    }
    per_group = []
    names: tuple[Callable[[int], str], ...] = (
        monitor_name,
        lambda count: monitor_name(count, baseline=False),
        lambda count: values_name("json", count),
        lambda count: values_name("number", count),
    )
    for name in names:
        resident_10k, resident_100k = (resident_by_subject.get(name(count)) for count in (10_000, 100_000))
        if resident_10k is not None and resident_100k is not None:
            value = (resident_100k - resident_10k) * (1 << 20) / 90_000
            per_group.append(Measurement(name(100_000), BYTES_PER_GROUP, value))
    return per_group
