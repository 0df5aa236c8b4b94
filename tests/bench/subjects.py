"""The measured subscribers: each is a process that counts the messages which it has processed."""

import os
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from tests.bench.processes import Broker, LineProcess, cpu_seconds, wait_until_idle
from tests.bench.workload import KEEPALIVE_S, LINE_COUNT, TOPIC_FILTER
from tests.chaos.memory import resident_mb
from tests.conftest import TIMEOUT_S, wait_until
from tests.support.processes import Monitor

__all__ = ["MonitorPerLineSubject", "MonitorSubject", "MosquittoSub", "ReportingSubject", "Subject"]

_POLL_INTERVALS_S = (0.02, 0.5)
"""Shortest and longest time in seconds between two scrapes of the monitor's counters. A scrape costs the
monitor 2 ms, so scrapes are rare until shortly before the end."""
_ALIGN_WAIT_PERIODS = 12
"""So that the warm-up may send ten values of a feature in one message."""
_STALL_TIMEOUT_S = 30
"""Seconds without progress until a wait fails."""
_SETTINGS_TEMPLATE = """[alerts]
mode = "{mode}"
[windows]
stale_after = 3600
"""
_SOURCE_TEMPLATE = """
[[input.sources]]
topic = "plant/{{line}}/{{station}}/{{feature}}"
format = "{format}"
[input.align]
period = {period}
wait = {wait}
"""


class Subject(ABC):
    """A measured process."""

    pid: int

    def cpu_seconds(self) -> float:
        """Return the processor time that it has used, in seconds."""
        return cpu_seconds(self.pid)

    def resident_mb(self) -> float:
        """Return its resident memory in MiB."""
        return resident_mb(self.pid)

    @abstractmethod
    def start(self) -> None:
        """Start it, and return once it is subscribed."""

    @abstractmethod
    def wait_for_count(self, total: int) -> float:
        """Wait until it has processed `total` readings since its start; return the monotonic time of that."""

    def wait_until_idle(self) -> None:
        """Wait until it has processed everything."""
        wait_until_idle(self.pid)

    @abstractmethod
    def close(self) -> None:
        """Kill it."""


class ReportingSubject(Subject):
    """A process of this package that reports when it is subscribed and when it has reached each total.

    Parameters
    ----------
    module : module of `tests.bench` to run.
    arguments : its command line, which contains the totals.
    folder : folder for its log.
    """

    def __init__(self, module: str, arguments: list[object], folder: Path) -> None:
        self._module = module
        self._arguments = [str(argument) for argument in arguments]
        self._log = folder / f"{module}.log"
        self._process: LineProcess | None = None

    def start(self) -> None:
        self._process = LineProcess(self._module, self._arguments, self._log)
        self.pid = self._process.process.pid
        assert self._process.read_line() == "ready"

    def wait_for_count(self, total: int) -> float:  # noqa: ARG002, the totals were given on its command line
        assert self._process is not None
        return float(self._process.read_line())

    def close(self) -> None:
        if self._process is not None:
            self._process.close()


class MosquittoSub(Subject):
    """mosquitto_sub, which ends after `total` messages."""

    def __init__(self, broker: Broker, qos: int, total: int) -> None:
        self._broker = broker
        self._command = [
            *("mosquitto_sub", "-p", str(broker.port), "-i", "mosquitto-sub"),
            *("-t", TOPIC_FILTER, "-q", str(qos), "-C", str(total), "-W", str(_STALL_TIMEOUT_S)),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._final_cpu_s: float | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        self.pid = self._process.pid
        wait_until(lambda: "mosquitto-sub" in self._broker.subscription_log(), "mosquitto_sub subscribes")

    def wait_for_count(self, total: int) -> float:  # noqa: ARG002, the total was given on its command line
        _, status, usage = os.wait4(self.pid, 0)
        ended_at = time.monotonic()
        assert status == 0, f"mosquitto_sub ended with {status}"
        self._final_cpu_s = usage.ru_utime + usage.ru_stime
        return ended_at

    def cpu_seconds(self) -> float:
        return super().cpu_seconds() if self._final_cpu_s is None else self._final_cpu_s

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(TIMEOUT_S)


class MonitorSubject(Subject):
    """`sensor-monitor run`.

    Parameters
    ----------
    broker : it connects to this broker.
    folder : folder for its files.
    bundle : folder of its bundle.
    qos : QoS of its subscription.
    mode : `alerts.mode`.
    readings_per_message : needed to count dropped readings, because the outcome `overflow` counts messages.
    line : the only line of the plant that it subscribes to, with its own base topic and client id; "" for
        all.
    value_format : format of messages with one value each; "": messages are readings.
    align_period_s : seconds between the sampling times of values.
    """

    def __init__(
        self,
        broker: Broker,
        folder: Path,
        bundle: Path,
        qos: int,
        *,
        mode: str = "lifecycle",
        readings_per_message: int = 1,
        line: str = "",
        value_format: str = "",
        align_period_s: float = 5.0,
    ) -> None:
        settings, mqtt = _SETTINGS_TEMPLATE.format(mode=mode), f"qos = {qos}\nkeepalive = {KEEPALIVE_S}"
        self._counter = "values" if value_format else "readings"
        if value_format:
            settings += _SOURCE_TEMPLATE.format(
                format=value_format, period=align_period_s, wait=_ALIGN_WAIT_PERIODS * align_period_s
            )
        self._environment = dict(os.environ)
        if line:
            settings += f'[input]\ntopics = ["plant/{line}/{{station}}/reading"]\n'
            self._environment["MONITOR_MQTT__BASE_TOPIC"] = f"sensor-monitor-{line}"
            self._environment["MONITOR_MQTT__CLIENT_ID"] = f"monitor-{line}"
        self._monitor = Monitor(folder, bundle.absolute(), broker.port, settings, mqtt)
        self._readings_per_message = readings_per_message
        self._judged_before = 0  # readings judged at the last `wait_until_idle`

    def start(self) -> None:
        self._monitor.start(environment=self._environment)
        wait_until(lambda: self._monitor.get("/readyz")[0] == 200, "the monitor is ready")
        assert self._monitor.process is not None
        self.pid = self._monitor.process.pid

    def wait_until_idle(self) -> None:
        super().wait_until_idle()
        self._judged_before = self._outcome_counts()[self._usable_outcome]

    def judged_count(self) -> int:
        """Return how many readings it has judged since the last `wait_until_idle`; of values, accepted."""
        return self._outcome_counts()[self._usable_outcome] - self._judged_before

    @property
    def _usable_outcome(self) -> str:
        return "judged" if self._counter == "readings" else "accepted"

    def _outcome_counts(self) -> dict[str, int]:
        """Return how many readings, or values, had each outcome."""
        counts = {}
        for line in self._monitor.get("/metrics")[1].splitlines():
            if line.startswith(f'sensor_monitor_{self._counter}_total{{outcome="'):
                name, value = line.split('"')[1], float(line.rpartition(" ")[2])
                counts[name] = int(value)
        return counts

    def peak_mb(self) -> float:
        """Return its peak resident memory, in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def wait_for_count(self, total: int) -> float:
        return _wait_for_count(self.processed_count, total)

    def processed_count(self) -> int:
        """Return how many readings have an outcome, dropped ones included."""
        outcomes = self._outcome_counts()
        return sum(outcomes.values()) + (self._readings_per_message - 1) * outcomes["overflow"]

    def close(self) -> None:
        self._monitor.kill()


class MonitorPerLineSubject(Subject):
    """Several monitors, each of which subscribes to one line of the plant."""

    def __init__(self, broker: Broker, folder: Path, bundle: Path) -> None:
        self._monitors = []
        for number in range(LINE_COUNT):
            line_folder = folder / str(number)
            line_folder.mkdir()
            self._monitors.append(MonitorSubject(broker, line_folder, bundle, 0, line=f"line{number}"))

    def start(self) -> None:
        for monitor in self._monitors:
            monitor.start()

    def cpu_seconds(self) -> float:
        return sum(monitor.cpu_seconds() for monitor in self._monitors)

    def resident_mb(self) -> float:
        return sum(monitor.resident_mb() for monitor in self._monitors)

    def peak_mb(self) -> float:
        """Return the sum of their peak resident memories, in MiB."""
        return sum(monitor.peak_mb() for monitor in self._monitors)

    def judged_count(self) -> int:
        """Return how many readings they have judged since the last `wait_until_idle`."""
        return sum(monitor.judged_count() for monitor in self._monitors)

    def wait_for_count(self, total: int) -> float:
        return _wait_for_count(lambda: sum(monitor.processed_count() for monitor in self._monitors), total)

    def wait_until_idle(self) -> None:
        for monitor in self._monitors:
            monitor.wait_until_idle()

    def close(self) -> None:
        for monitor in self._monitors:
            monitor.close()


def _wait_for_count(count: Callable[[], int], total: int) -> float:
    """Wait until a count reaches a total, polling less often while it is far away; return the time."""
    timer = threading.Event()
    started_at = changed_at = time.monotonic()
    first = last = count()
    while last < total:
        rate = (last - first) / (time.monotonic() - started_at)
        seconds_left = (total - last) / rate if rate else 0.0
        timer.wait(min(max(seconds_left / 2, _POLL_INTERVALS_S[0]), _POLL_INTERVALS_S[1]))
        current = count()
        assert current > last or time.monotonic() - changed_at < _STALL_TIMEOUT_S, (
            f"{current} of {total} readings counted"
        )
        if current > last:
            last, changed_at = current, time.monotonic()
    return time.monotonic()
