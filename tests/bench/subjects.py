"""What is measured: each a process that counts the messages that it has dealt with."""

import os
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from tests.bench.processes import Broker, Speaker, await_rest, cpu_seconds
from tests.bench.workload import FILTER, KEEPALIVE, LINES
from tests.chaos.memory import resident_mb
from tests.conftest import PATIENCE, wait_until
from tests.support.processes import Monitor

__all__ = ["MosquittoSub", "Ours", "OursByLine", "Subject", "Told"]

_LOOKS = (0.02, 0.5)
"""Seconds between two looks at the monitor's counters: each costs it 2 ms, so there are few until the end."""
_GIVES_UP = 30
"""Seconds without any progress."""
_TOML = """[alerts]
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
    def await_count(self, total: int) -> float:
        """Wait until it has dealt with so many readings since its start; return when, monotonic seconds."""

    def await_rest(self) -> None:
        """Wait until it has nothing left to do."""
        await_rest(self.pid)

    @abstractmethod
    def close(self) -> None:
        """End it."""


class Told(Subject):
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
        self._speaker: Speaker | None = None

    def start(self) -> None:
        self._speaker = Speaker(self._module, self._arguments, self._log)
        self.pid = self._speaker.process.pid
        assert self._speaker.hear() == "ready"

    def await_count(self, total: int) -> float:  # noqa: ARG002, it was told its totals
        assert self._speaker is not None
        return float(self._speaker.hear())

    def close(self) -> None:
        if self._speaker is not None:
            self._speaker.close()


class MosquittoSub(Subject):
    """The broker's own subscriber, which ends when its count is reached."""

    def __init__(self, broker: Broker, qos: int, total: int) -> None:
        self._broker = broker
        self._command = [
            "mosquitto_sub", "-p", str(broker.port), "-i", "mosquitto-sub", "-t", FILTER, "-q", str(qos),
            "-C", str(total), "-W", str(_GIVES_UP),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self._computed: float | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        self.pid = self._process.pid
        wait_until(lambda: "mosquitto-sub" in self._broker.subscribers(), "mosquitto_sub subscribes")

    def await_count(self, total: int) -> float:  # noqa: ARG002, it was told its total
        _, status, usage = os.wait4(self.pid, 0)
        ended = time.monotonic()
        assert status == 0, f"mosquitto_sub ended with {status}"
        self._computed = usage.ru_utime + usage.ru_stime
        return ended

    def cpu_seconds(self) -> float:
        return super().cpu_seconds() if self._computed is None else self._computed

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)


class Ours(Subject):
    """`sensor-monitor run`.

    Parameters
    ----------
    qos : what it subscribes with.
    mode : of its alerts.
    array : readings in a message: what finds no room is counted by messages.
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
        array: int = 1,
        line: str = "",
    ) -> None:
        settings, mqtt = _TOML.format(mode=mode), f"qos = {qos}\nkeepalive = {KEEPALIVE}"
        self._environment = dict(os.environ)
        if line:
            settings += f'[input]\ntopics = ["plant/{line}/{{station}}/reading"]\n'
            self._environment["MONITOR_MQTT__BASE_TOPIC"] = f"sensor-monitor-{line}"
            self._environment["MONITOR_MQTT__CLIENT_ID"] = f"monitor-{line}"
        self._monitor = Monitor(folder, bundle.absolute(), broker.port, settings, mqtt)
        self._array = array
        self._judged = 0  # when it was last at rest

    def start(self) -> None:
        self._monitor.start(environment=self._environment)
        wait_until(lambda: self._monitor.get("/readyz")[0] == 200, "the monitor is ready")
        assert self._monitor.process is not None
        self.pid = self._monitor.process.pid

    def await_rest(self) -> None:
        super().await_rest()
        self._judged = self._outcomes()["judged"]

    def judged(self) -> int:
        """Return how many readings it has judged since it was last waited for to be at rest."""
        return self._outcomes()["judged"] - self._judged

    def _outcomes(self) -> dict[str, int]:
        """Return how many readings had each outcome."""
        found = {}
        for line in self._monitor.get("/metrics")[1].splitlines():
            if line.startswith('sensor_monitor_readings_total{outcome="'):
                name, value = line.split('"')[1], float(line.rpartition(" ")[2])
                found[name] = int(value)
        return found

    def peak_mb(self) -> float:
        """Return the most memory it ever had, in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def await_count(self, total: int) -> float:
        return _await(self.count, total)

    def count(self) -> int:
        """Return how many readings it has dealt with."""
        outcomes = self._outcomes()
        return sum(outcomes.values()) + (self._array - 1) * outcomes["overflow"]

    def close(self) -> None:
        self._monitor.kill()


class OursByLine(Subject):
    """Several of them, each with a line of the plant."""

    def __init__(self, broker: Broker, folder: Path, bundle: Path) -> None:
        self._each = []
        for number in range(LINES):
            own = folder / str(number)
            own.mkdir()
            self._each.append(Ours(broker, own, bundle, 0, line=f"line{number}"))

    def start(self) -> None:
        for one in self._each:
            one.start()

    def cpu_seconds(self) -> float:
        return sum(one.cpu_seconds() for one in self._each)

    def resident_mb(self) -> float:
        return sum(one.resident_mb() for one in self._each)

    def peak_mb(self) -> float:
        """Return the most memory they ever had, in MiB."""
        return sum(one.peak_mb() for one in self._each)

    def judged(self) -> int:
        """Return how many readings they have judged since they were last waited for to be at rest."""
        return sum(one.judged() for one in self._each)

    def await_count(self, total: int) -> float:
        return _await(lambda: sum(one.count() for one in self._each), total)

    def await_rest(self) -> None:
        for one in self._each:
            one.await_rest()

    def close(self) -> None:
        for one in self._each:
            one.close()


def _await(count: Callable[[], int], total: int) -> float:
    """Wait for a count, looking the more seldom the farther it is; return when, monotonic seconds."""
    pause = threading.Event()
    began = changed = time.monotonic()
    first = last = count()
    while last < total:
        rate = (last - first) / (time.monotonic() - began)
        left = (total - last) / rate if rate else 0.0
        pause.wait(min(max(left / 2, _LOOKS[0]), _LOOKS[1]))
        now = count()
        assert now > last or time.monotonic() - changed < _GIVES_UP, f"{now} of {total} readings counted"
        if now > last:
            last, changed = now, time.monotonic()
    return time.monotonic()
