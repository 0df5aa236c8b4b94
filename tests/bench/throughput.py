"""Throughput of each subject when messages arrive as fast as possible, and its processor time and memory."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from tests.bench.config import WARM_UP_READINGS, BenchConfig
from tests.bench.measurements import Measurement
from tests.bench.processes import Broker, running_sender
from tests.bench.subjects import (
    MonitorPerLineSubject,
    MonitorSubject,
    MosquittoSub,
    ReportingSubject,
    Subject,
)
from tests.bench.workload import Workload

__all__ = [
    "CPU_PER_MILLION",
    "MESSAGES_PER_S",
    "RESIDENT_MB",
    "STARTUP_S",
    "VALUES_PER_S",
    "WINDOWS_PER_S",
    "flood_monitor",
    "flood_monitor_per_line",
    "flood_mosquitto_sub",
    "flood_paho_client",
    "flood_raw_subscriber",
    "flood_with_values",
    "paho_name",
]

MESSAGES_PER_S = "messages/s"
WINDOWS_PER_S = "windows/s"
VALUES_PER_S = "values/s"
CPU_PER_MILLION = "CPU s a million"
RESIDENT_MB = "resident MiB"
STARTUP_S = "start to ready, s"
_PEAK_MB = "peak MiB under the flood"
_DROPPED_PERCENT = "dropped, %"
_WARM_UP_BATCH_MESSAGES = 5000
"""Messages of the monitor's warm-up that are sent at a time: few enough to fit the receive queue, and not to
raise its peak memory."""

SubjectT = TypeVar("SubjectT", bound=Subject)


@dataclass(frozen=True, slots=True)
class _FloodResult:
    """Result of one flood."""

    startup_s: float
    """Seconds from the start of the process until it is subscribed."""
    resident_mb: float
    """Resident memory after the warm-up, in MiB."""
    duration_s: float
    """Seconds from sending the first message until the last one is processed."""
    cpu_s: float
    """Processor time of the subject in this time, in seconds."""


def paho_name(qos: int) -> str:
    """Return the row name of the bare paho client, which throughput is compared with."""
    return f"bare paho, QoS {qos}"


def flood_paho_client(
    config: BenchConfig,
    name: str,
    client_kind: str,
    message_count: int,
    *,
    qos: int = 0,
    group_count: int = 1000,
) -> list[Measurement]:
    """Flood one of `paho_clients.CLIENT_KINDS`."""
    workload = config.workload(message_count, group_count, qos=qos, readings_before=WARM_UP_READINGS)
    warm_up = replace(workload, message_count=WARM_UP_READINGS * group_count, readings_before=0, qos=1)
    cumulative_counts = [warm_up.message_count, warm_up.message_count + workload.message_count]
    with _flood(
        config.empty_folder(name),
        warm_up,
        workload,
        lambda broker, folder: ReportingSubject(
            "paho_clients", [client_kind, broker.port, qos, config.bundle, *cumulative_counts], folder
        ),
    ) as (_, result):
        return _measurements(name, MESSAGES_PER_S, workload.message_count, result, workload)


def flood_mosquitto_sub(config: BenchConfig, name: str, message_count: int) -> list[Measurement]:
    """Flood mosquitto_sub, which needs no warm-up."""
    workload = config.workload(message_count)
    with _flood(
        config.empty_folder(name),
        None,
        workload,
        lambda broker, _: MosquittoSub(broker, workload.qos, workload.message_count),
    ) as (_, result):
        return _measurements(name, MESSAGES_PER_S, workload.message_count, result, workload)


def flood_raw_subscriber(config: BenchConfig, name: str, message_count: int) -> list[Measurement]:
    """Flood a subscriber that only counts bytes, to measure the limit of broker and machine."""
    workload = config.workload(message_count)
    total_bytes = sum(map(len, workload.packets()))
    with _flood(
        config.empty_folder(name),
        None,
        workload,
        lambda broker, folder: ReportingSubject("raw_subscriber", [broker.port, total_bytes], folder),
    ) as (_, result):
        return _measurements(name, MESSAGES_PER_S, workload.message_count, result, workload)


def flood_monitor(
    config: BenchConfig,
    name: str,
    message_count: int,
    *,
    qos: int = 0,
    group_count: int = 1000,
    readings_per_message: int = 1,
) -> list[Measurement]:
    """Flood the monitor, after a warm-up in which each group is judged and its state published."""
    workload = config.workload(
        message_count,
        group_count,
        qos=qos,
        readings_per_message=readings_per_message,
        readings_before=WARM_UP_READINGS,
    )
    return _measure_monitor(
        config,
        name,
        workload,
        lambda broker, folder: MonitorSubject(
            broker, folder, config.bundle, qos, readings_per_message=readings_per_message
        ),
    )


def flood_with_values(
    config: BenchConfig,
    name: str,
    message_count: int,
    *,
    value_format: str,
    qos: int = 0,
    group_count: int = 1000,
) -> list[Measurement]:
    """Flood the monitor with messages of one value each, after a warm-up in which each group is judged.

    Plain numbers have no event time: each group has a reading at each sampling time, however many come.
    """
    workload = config.workload(message_count, group_count, qos=qos, readings_before=WARM_UP_READINGS)
    workload = replace(workload, value_format=value_format)
    topic_count = group_count * len(workload.features)
    warm_up = replace(workload, message_count=topic_count, readings_before=0, qos=1)
    if value_format == "json":
        warm_up = replace(warm_up, readings_per_message=WARM_UP_READINGS)
    # As in a plant whose sensors report once in a period, 20,000 values a second if there are many.
    period_s = 5.0 if value_format == "json" else max(1.0, topic_count / 20_000)
    return _measure_monitor(
        config,
        name,
        workload,
        lambda broker, folder: MonitorSubject(
            broker, folder, config.bundle, qos, value_format=value_format, align_period_s=period_s
        ),
        warm_up,
        VALUES_PER_S,
    )


def flood_monitor_per_line(
    config: BenchConfig, name: str, message_count: int, *, group_count: int = 1000
) -> list[Measurement]:
    """Flood several monitors, each of which subscribes to one line of the plant."""
    workload = config.workload(message_count, group_count, readings_before=WARM_UP_READINGS)
    return _measure_monitor(
        config, name, workload, lambda broker, folder: MonitorPerLineSubject(broker, folder, config.bundle)
    )


def _measure_monitor(
    config: BenchConfig,
    name: str,
    workload: Workload,
    make_subject: Callable[[Broker, Path], MonitorSubject | MonitorPerLineSubject],
    warm_up: Workload | None = None,
    quantity: str = WINDOWS_PER_S,
) -> list[Measurement]:
    warm_up = warm_up or replace(
        workload,
        message_count=workload.group_count,
        readings_per_message=WARM_UP_READINGS,
        readings_before=0,
        qos=1,
    )
    with _flood(config.empty_folder(name), warm_up, workload, make_subject) as (subject, result):
        judged_count = subject.judged_count()
        return [
            *_measurements(name, quantity, judged_count, result, workload),
            Measurement(name, _PEAK_MB, subject.peak_mb()),
            Measurement(name, _DROPPED_PERCENT, 100 * (1 - judged_count / workload.reading_count)),
        ]


def _measurements(
    name: str, quantity: str, count: int, result: _FloodResult, workload: Workload
) -> list[Measurement]:
    reference = paho_name(workload.qos)
    return [
        Measurement(name, quantity, count / result.duration_s, (reference, MESSAGES_PER_S)),
        Measurement(
            name, CPU_PER_MILLION, result.cpu_s / workload.reading_count * 1e6, (reference, CPU_PER_MILLION)
        ),
        Measurement(name, RESIDENT_MB, result.resident_mb, (reference, RESIDENT_MB)),
        Measurement(name, STARTUP_S, result.startup_s, (reference, STARTUP_S)),
    ]


@contextmanager
def _flood(
    folder: Path,
    warm_up: Workload | None,
    workload: Workload,
    make_subject: Callable[[Broker, Path], SubjectT],
) -> Iterator[tuple[SubjectT, _FloodResult]]:
    """Start a subject, warm it up, and flood it; it lives until the end of the `with` block."""
    broker = Broker(folder)
    broker.start()
    subject = make_subject(broker, folder)
    try:
        started_at = time.monotonic()
        subject.start()
        startup_s = time.monotonic() - started_at
        warm_up_count = _send_warm_up(broker.port, subject, warm_up, folder) if warm_up else 0
        with running_sender(broker.port, workload, folder) as sender_process:
            subject.wait_until_idle()
            resident_mb, cpu_before = subject.resident_mb(), subject.cpu_seconds()
            sender_process.resume()
            sent_at = float(sender_process.read_line())
            ended_at = subject.wait_for_count(warm_up_count + workload.reading_count)
            result = _FloodResult(
                startup_s, resident_mb, ended_at - sent_at, subject.cpu_seconds() - cpu_before
            )
        yield subject, result
    finally:
        subject.close()
        broker.stop()


def _send_warm_up(port: int, subject: Subject, workload: Workload, folder: Path) -> int:
    """Send a workload in batches, each after the last one is processed; return the number of readings."""
    batch_size = (
        _WARM_UP_BATCH_MESSAGES
        if isinstance(subject, MonitorSubject | MonitorPerLineSubject)
        else workload.message_count
    )
    with running_sender(port, workload, folder, batch_size) as sender_process:
        for sent_count in range(0, workload.message_count, batch_size):
            sender_process.resume()
            sender_process.read_line()
            subject.wait_for_count(
                min(sent_count + batch_size, workload.message_count) * workload.readings_per_message
            )
    return workload.reading_count
