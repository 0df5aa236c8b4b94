"""Latency from publishing a reading to receiving its alert, at several rates."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.bench.config import WARM_UP_READINGS, BenchConfig
from tests.bench.latency_probe import LatencyResult
from tests.bench.measurements import Measurement
from tests.bench.processes import Broker, LineProcess, running_sender
from tests.bench.subjects import MonitorSubject, ReportingSubject, Subject
from tests.bench.workload import Workload

__all__ = ["ECHO_SUBJECT", "MONITOR_ALL_ALERTS", "measure_echo", "measure_monitor", "quantity_name"]

ECHO_SUBJECT, MONITOR_ALL_ALERTS, MONITOR_TENTH_ALERTS = (
    "paho echo",
    "ours, each an alert",
    "ours, 1 in 10 an alert",
)
_RATES = (100, 1000, 5000, 10_000)
"""Readings a second."""
_DURATION_S = 6
_QUANTILES = ("p50", "p99", "p99.9")
_GROUP_COUNT = 100
_WARM_UP_MESSAGES = WARM_UP_READINGS * _GROUP_COUNT
"""Messages until every group is judged."""


def quantity_name(quantile: str, rate: int) -> str:
    """Return the name of a quantile of the latency at a rate."""
    return f"{quantile} at {rate:,}/s, ms"


def measure_echo(config: BenchConfig) -> list[Measurement]:
    """Measure a paho client that publishes each message back."""
    return _measure(
        config,
        ECHO_SUBJECT,
        "echo/#",
        lambda broker, folder: ReportingSubject(
            "paho_clients", ["echo", broker.port, 1, config.bundle, _WARM_UP_MESSAGES], folder
        ),
    )


def measure_monitor(config: BenchConfig) -> list[Measurement]:
    """Measure the monitor where each window raises an alert, and where one in ten does."""
    measurements = []
    for name, faulty_group_count in (
        (MONITOR_ALL_ALERTS, _GROUP_COUNT),
        (MONITOR_TENTH_ALERTS, _GROUP_COUNT // 10),
    ):
        measurements += _measure(
            config,
            name,
            "sensor-monitor/alerts/#",
            lambda broker, folder: MonitorSubject(broker, folder, config.bundle, 1, mode="every_window"),
            faulty_group_count,
        )
    return measurements


def _measure(
    config: BenchConfig,
    name: str,
    topic_filter: str,
    make_subject: Callable[[Broker, Path], Subject],
    faulty_group_count: int = _GROUP_COUNT,
) -> list[Measurement]:
    """Warm a subject up, and measure it at each rate; alerts or echoes are received on `topic_filter`."""
    folder = config.empty_folder(name)
    broker = Broker(folder)
    broker.start()
    warm_up = replace(
        config.workload(_WARM_UP_MESSAGES, _GROUP_COUNT, qos=1, faulty_group_count=faulty_group_count),
        message_count=_WARM_UP_MESSAGES,
    )
    subject = make_subject(broker, folder)
    measurements = []
    try:
        subject.start()
        with running_sender(broker.port, warm_up, folder) as sender_process:
            sender_process.resume()
            sender_process.read_line()
        subject.wait_for_count(_WARM_UP_MESSAGES)
        readings_before = WARM_UP_READINGS
        for rate in _RATES:
            workload = config.workload(
                rate * _DURATION_S,
                _GROUP_COUNT,
                qos=1,
                faulty_group_count=faulty_group_count,
                readings_before=readings_before,
            )
            readings_before += math.ceil(workload.message_count / _GROUP_COUNT)
            subject.wait_until_idle()
            measurements += _measure_rate(name, broker.port, workload, rate, topic_filter, folder)
    finally:
        subject.close()
        broker.stop()
    return measurements


def _measure_rate(
    name: str, port: int, workload: Workload, rate: int, topic_filter: str, folder: Path
) -> list[Measurement]:
    probe = LineProcess(
        "latency_probe", [str(port), workload.to_json(), str(rate), topic_filter], folder / "probe.log"
    )
    try:
        result = LatencyResult(**json.loads(probe.read_line()))
        probe.wait_exit()
    finally:
        probe.close()
    measurements = []
    for quantile, ms in zip(_QUANTILES, result.latencies_ms, strict=True):
        label = quantity_name(quantile, rate)
        measurements.append(
            Measurement(name, label, ms, None if name == ECHO_SUBJECT else (ECHO_SUBJECT, label))
        )
    unanswered_percent = 100 * result.missing_count / result.expected_count
    return [*measurements, Measurement(name, f"unanswered at {rate:,}/s, %", unanswered_percent)]
