"""What is measured: each a process that counts the messages that it has dealt with."""

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
"""Seconds between two looks at the monitor's counters: each costs it 2 ms, so there are few until the end."""
_STALL_TIMEOUT_S = 30
"""Seconds without any progress."""
_SETTINGS_TEMPLATE = """[alerts]
mode = "{mode}"
[windows]
stale_after = 3600
"""


class Subject(ABC):
    """A process under test."""

    pid: int

    def cpu_seconds(self) -> float:
        """Return how long it has computed."""
        return cpu_seconds(self.pid)

    def resident_mb(self) -> float:
        """Return how much memory it has now, in MiB."""
        return resident_mb(self.pid)

    @abstractmethod
    def start(self) -> None:
        """Start it, and return once it is subscribed."""

    @abstractmethod
    def wait_for_count(self, total: int) -> float:
        """Wait until it has dealt with so many readings since its start; return when, monotonic seconds."""

    def wait_until_idle(self) -> None:
        """Wait until it has nothing left to do."""
        wait_until_idle(self.pid)

    @abstractmethod
    def close(self) -> None:
        """End it."""


class ReportingSubject(Subject):
    """A process of this package that says when it is subscribed, and when it has reached each total.

    Parameters
    ----------
    module : of the package.
    arguments : for it; the totals are among them.
    folder : for its log.
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

    def wait_for_count(self, total: int) -> float:  # noqa: ARG002, it was told its totals
        assert self._process is not None
        return float(self._process.read_line())

    def close(self) -> None:
        if self._process is not None:
            self._process.close()


class MosquittoSub(Subject):
    """The broker's own subscriber, which ends when its count is reached."""

    def __init__(self, broker: Broker, qos: int, total: int) -> None:
        self._broker = broker
        self._command = [
            "mosquitto_sub", "-p", str(broker.port), "-i", "mosquitto-sub", "-t", TOPIC_FILTER, "-q", str(qos),
            "-C", str(total), "-W", str(_STALL_TIMEOUT_S),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self._final_cpu_s: float | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        self.pid = self._process.pid
        wait_until(lambda: "mosquitto-sub" in self._broker.subscription_log(), "mosquitto_sub subscribes")

    def wait_for_count(self, total: int) -> float:  # noqa: ARG002, it was told its total
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
    qos : what it subscribes with.
    mode : of its alerts.
    readings_per_message : readings in a message: what finds no room is counted by messages.
    line : the only one that it subscribes to, with names of its own for all that it publishes; "" for all.
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
    ) -> None:
        settings, mqtt = _SETTINGS_TEMPLATE.format(mode=mode), f"qos = {qos}\nkeepalive = {KEEPALIVE_S}"
        self._environment = dict(os.environ)
        if line:
            settings += f'[input]\ntopics = ["plant/{line}/{{station}}/reading"]\n'
            self._environment["MONITOR_MQTT__BASE_TOPIC"] = f"sensor-monitor-{line}"
            self._environment["MONITOR_MQTT__CLIENT_ID"] = f"monitor-{line}"
        self._monitor = Monitor(folder, bundle.absolute(), broker.port, settings, mqtt)
        self._readings_per_message = readings_per_message
        self._judged_before = 0  # when it was last at rest

    def start(self) -> None:
        self._monitor.start(environment=self._environment)
        wait_until(lambda: self._monitor.get("/readyz")[0] == 200, "the monitor is ready")
        assert self._monitor.process is not None
        self.pid = self._monitor.process.pid

    def wait_until_idle(self) -> None:
        super().await_rest()
        self._judged_before = self._outcome_counts()["judged"]

    def judged_count(self) -> int:
        """Return how many readings it has judged since it was last waited for to be at rest."""
        return self._outcome_counts()["judged"] - self._judged_before

    def _outcome_counts(self) -> dict[str, int]:
        """Return how many readings had each outcome."""
        counts = {}
        for line in self._monitor.get("/metrics")[1].splitlines():
            if line.startswith('sensor_monitor_readings_total{outcome="'):
                name, value = line.split('"')[1], float(line.rpartition(" ")[2])
                counts[name] = int(value)
        return counts

    def peak_mb(self) -> float:
        """Return the most memory it ever had, in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def wait_for_count(self, total: int) -> float:
        return _wait_for_count(self.processed_count, total)

    def processed_count(self) -> int:
        """Return how many readings it has dealt with."""
        outcomes = self._outcome_counts()
        return sum(outcomes.values()) + (self._readings_per_message - 1) * outcomes["overflow"]

    def close(self) -> None:
        self._monitor.kill()


class MonitorPerLineSubject(Subject):
    """Several of them, each with a line of the plant."""

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
        """Return the most memory they ever had, in MiB."""
        return sum(monitor.peak_mb() for monitor in self._monitors)

    def judged_count(self) -> int:
        """Return how many readings they have judged since they were last waited for to be at rest."""
        return sum(monitor.judged_count() for monitor in self._monitors)

    def wait_for_count(self, total: int) -> float:
        return _wait_for_count(lambda: sum(one.processed_count() for one in self._monitors), total)

    def wait_until_idle(self) -> None:
        for monitor in self._monitors:
            monitor.wait_until_idle()

    def close(self) -> None:
        for monitor in self._monitors:
            monitor.close()


def _wait_for_count(count: Callable[[], int], total: int) -> float:
    """Wait for a count, looking the more seldom the farther it is; return when, monotonic seconds."""
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
