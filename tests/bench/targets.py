"""Performance targets, and whether the measurements meet them."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench import latency
from tests.bench.benchmarks import BYTES_PER_GROUP, array_monitor_name, monitor_name, values_name
from tests.bench.measurements import Measurement, MeasurementKey, format_number
from tests.bench.throughput import (
    MESSAGES_PER_S,
    RESIDENT_MB,
    STARTUP_S,
    VALUES_PER_S,
    WINDOWS_PER_S,
    paho_name,
)

__all__ = ["evaluate_targets", "table_lines"]


@dataclass(frozen=True, slots=True)
class _Target:
    """A limit for one measurement, or for its ratio to another measurement of the same round."""

    description: str
    key: MeasurementKey
    limit: float
    divisor: MeasurementKey | None = None
    is_minimum: bool = True
    """Whether the limit is a minimum; otherwise it is a maximum."""


_MONITOR, _MONITOR_NO_BASELINE = monitor_name(1_000), monitor_name(1_000, baseline=False)
_P50, _P99 = latency.quantity_name("p50", 1000), latency.quantity_name("p99", 1000)
_TARGETS = (
    _Target(
        "QoS 0, 1,000 groups: windows/s over bare paho's messages/s",
        (_MONITOR, WINDOWS_PER_S),
        1.5,
        (paho_name(0), MESSAGES_PER_S),
    ),
    _Target(
        "the same without a baseline",
        (_MONITOR_NO_BASELINE, WINDOWS_PER_S),
        1.5,
        (paho_name(0), MESSAGES_PER_S),
    ),
    _Target(
        "with a baseline over without one",
        (_MONITOR, WINDOWS_PER_S),
        0.9,
        (_MONITOR_NO_BASELINE, WINDOWS_PER_S),
    ),
    _Target(
        "QoS 1, durable: windows/s over bare paho's messages/s at QoS 1",
        (monitor_name(1_000, 1), WINDOWS_PER_S),
        0.8,
        (paho_name(1), MESSAGES_PER_S),
    ),
    _Target(
        "arrays of 100: windows/s over bare paho's messages/s",
        (array_monitor_name(100), WINDOWS_PER_S),
        2.0,
        (paho_name(0), MESSAGES_PER_S),
    ),
    *(
        _Target(
            f"a {value_format} value a message, QoS {qos}: values/s over bare paho's messages/s",
            (values_name(value_format, 1_000, qos), VALUES_PER_S),
            limit,
            (paho_name(qos), MESSAGES_PER_S),
        )
        for value_format in ("json", "number")
        for qos, limit in ((0, 1.0), (1, 0.8))
    ),
    *(
        _Target(
            f"a {value_format} value a message, 100,000 groups: values/s over those with 1,000",
            (values_name(value_format, 100_000), VALUES_PER_S),
            0.7,
            (values_name(value_format, 1_000), VALUES_PER_S),
        )
        for value_format in ("json", "number")
    ),
    _Target(
        "publish to alert at 1,000/s, p50 over the echo's",
        (latency.MONITOR_ALL_ALERTS, _P50),
        2.0,
        (latency.ECHO_SUBJECT, _P50),
        is_minimum=False,
    ),
    _Target(
        "publish to alert at 1,000/s, p99 over the echo's",
        (latency.MONITOR_ALL_ALERTS, _P99),
        3.0,
        (latency.ECHO_SUBJECT, _P99),
        is_minimum=False,
    ),
    _Target(
        "100,000 groups: windows/s over those with 1,000",
        (monitor_name(100_000), WINDOWS_PER_S),
        0.7,
        (_MONITOR, WINDOWS_PER_S),
    ),
    _Target(
        "resident memory with 10,000 groups, MiB", (monitor_name(10_000), RESIDENT_MB), 200, is_minimum=False
    ),
    _Target(
        "bytes a group from 10,000 to 100,000 groups",
        (monitor_name(100_000), BYTES_PER_GROUP),
        1200,
        is_minimum=False,
    ),
    _Target(
        "bytes a group from 10,000 to 100,000 groups, no baseline",
        (monitor_name(100_000, baseline=False), BYTES_PER_GROUP),
        1000,
        is_minimum=False,
    ),
    _Target("start to /readyz, s", (_MONITOR, STARTUP_S), 2.0, is_minimum=False),
)


def evaluate_targets(rounds: Sequence[Sequence[Measurement]]) -> list[dict[str, str | float | bool]]:
    """Return for each target its description, its limit, the median of the rounds, and whether it is met.

    Rounds without the measurement are ignored, and so are targets that no round has a measurement for.
    """
    results: list[dict[str, str | float | bool]] = []
    by_round = [
        {measurement.key: measurement.value for measurement in measurements} for measurements in rounds
    ]
    for target in _TARGETS:
        values = [
            measurements[target.key] / (measurements[target.divisor] if target.divisor else 1.0)
            for measurements in by_round
            if target.key in measurements and (target.divisor is None or measurements.get(target.divisor))
        ]
        if not values:
            continue
        value = median(values)
        is_met = value >= target.limit if target.is_minimum else value <= target.limit
        results.append(
            {
                "figure": target.description,
                "least": target.is_minimum,
                "bar": target.limit,
                "measured": value,
                "met": is_met,
            }
        )
    return results


def table_lines(results: list[dict[str, str | float | bool]]) -> list[str]:
    """Return the lines of a Markdown table."""
    rows = [("figure", "bar", "measured", "met"), ("---", "---:", "---:", "---")]
    for result in results:
        limit = f"{'>=' if result['least'] else '<='} {result['bar']:g}"
        rows.append(
            (
                str(result["figure"]),
                limit,
                format_number(float(result["measured"])),
                "yes" if result["met"] else "**no**",
            )
        )
    return [f"| {' | '.join(row)} |" for row in rows]
