"""A plant at work with a monitor, which attackers must not harm."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tests.chaos.broker import Broker
from tests.chaos.load_generator import LoadGenerator
from tests.chaos.memory import peak_mb
from tests.chaos.recorder import Recorder
from tests.chaos.results import ALERT_PREFIX
from tests.conftest import wait_until
from tests.security.attackers import Attacker, run_attacker
from tests.security.prober import Prober
from tests.security.stations import Stations
from tests.support.processes import Monitor

__all__ = ["Plant"]

_STATION_COUNT = 201
"""200 that stay healthy, and the one that turns faulty."""
_READINGS_PER_S = 400.0
_STEADY_ROUNDS = 4
"""Readings of each station before an attack: windows of 3 are full, and one more is judged."""
_ALERT_DEADLINE_S = 2.0
_MAX_MEMORY_GROWTH = 1.5


class Plant:
    """A broker, a monitor and 201 stations that send with QoS 1; inside the `with` block all are judged.

    Parameters
    ----------
    folder : for the files of broker and monitor.
    settings : further settings of the monitor; begins in `[http]`.
    mqtt : further settings of `[mqtt]`.
    broker_lines : further lines of the broker's configuration file.
    """

    def __init__(
        self,
        folder: Path,
        bundle: Path,
        *,
        settings: str = "",
        mqtt: str = "",
        broker_lines: tuple[str, ...] = (),
    ) -> None:
        self.broker = Broker(folder, *broker_lines)
        self.monitor = Monitor(folder, bundle, self.broker.port, settings, mqtt)
        self.stations = Stations(_STATION_COUNT)
        self._load_generator = LoadGenerator(self.broker.port, self.stations, _READINGS_PER_S)
        self._recorder = Recorder(self.broker.port, "control-room", f"{ALERT_PREFIX}#")
        self._prober: Prober | None = None
        self._calm_peak_mb = 0.0

    def __enter__(self) -> Self:
        try:
            self.broker.start()
            self._recorder.start()
            self.monitor.start_ready()
            self._prober = Prober(self.monitor.address)
            self._prober.start()
            self._load_generator.start()
            wait_until(
                lambda: sum(self.monitor.outcomes().values()) >= _STATION_COUNT * _STEADY_ROUNDS,
                "the plant is steady",
            )
            self._calm_peak_mb = peak_mb(self._monitor_pid)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._prober:
            self._prober.close()
        self._load_generator.close()
        self._recorder.close()
        self.monitor.kill()
        self.broker.stop()

    @contextmanager
    def attack(self, attacker: Attacker) -> Iterator[None]:
        """Attack while the block runs, which begins once the attack is in force."""
        with run_attacker(attacker, self.broker.port, self.monitor.address):
            yield

    def turn_faulty(self) -> dict[str, Any]:
        """Let a healthy station turn faulty; return its alert, or fail if it doesn't come within 2 s."""
        started_at = time.monotonic()
        group = self.stations.turn_faulty()
        alert = _wait_for(lambda: self._find_alert(group), started_at + _ALERT_DEADLINE_S)
        assert alert, (
            f"no alert of {group} within {_ALERT_DEADLINE_S:g} s; outcomes {self.monitor.outcomes()}"
        )
        return alert

    def send_rounds(self, count: int) -> None:
        """Wait until every station has sent this many more readings."""
        target = len(self._load_generator.sent_readings) + count * _STATION_COUNT
        wait_until(lambda: len(self._load_generator.sent_readings) >= target, f"{count} rounds are sent")

    def assert_unharmed(self, *, attacker_sent_readings: bool = False) -> None:
        """Fail if the attack, now over, cost a reading, an answer of `/livez` or half the memory again.

        Parameters
        ----------
        attacker_sent_readings : whether the outcomes count more than the stations' readings.
        """
        self.send_rounds(1)
        sent = self._load_generator.finish()
        self._assert_no_reading_lost()
        # An alert is published before the readings of its batch are counted.
        wait_until(lambda: self._count_readings() >= len(sent), f"{len(sent)} confirmed readings are counted")
        if not attacker_sent_readings:
            assert self._count_readings() == len(sent)
        assert self._prober is not None
        assert not self._prober.failures, f"/livez: {self._prober.failures}"
        growth = peak_mb(self._monitor_pid) / self._calm_peak_mb
        assert growth <= _MAX_MEMORY_GROWTH, (
            f"memory {growth:.2f} times that of before the attack, {self._calm_peak_mb:.0f} MiB"
        )

    def _count_readings(self) -> int:
        outcomes = self.monitor.outcomes()
        return sum(outcomes.values()) - outcomes.get("duplicate", 0)

    def _assert_no_reading_lost(self) -> None:
        """Fail if a station's reading isn't in its window.

        After a lost reading the next of its station is a `gap`, and the last ones are in an alert's window.
        """
        wait_until(
            lambda: all(self._find_alert(group) for group in self.stations.groups),
            "the last readings of all stations, which are faulty, are judged",
        )
        gaps = self.monitor.outcomes().get("gap", 0)
        assert not gaps, f"{gaps} readings came after one that was lost"
        for group in self.stations.healthy_to_the_end:
            alert = self._find_alert(group)
            assert alert, group
            assert alert["window"]["ts"] == self.stations.last_window(group), alert

    def _find_alert(self, group: str) -> dict[str, Any] | None:
        topic = f"{ALERT_PREFIX}{group}"
        found = (json.loads(packet.payload) for packet in self._recorder.packets if packet.topic == topic)
        return next(found, None)

    @property
    def _monitor_pid(self) -> int:
        assert self.monitor.process is not None
        return self.monitor.process.pid


def _wait_for(find: Callable[[], dict[str, Any] | None], deadline: float) -> dict[str, Any] | None:
    """Return what `find` returns once it isn't None, or None at the deadline, in monotonic seconds."""
    pause = threading.Event()
    while (found := find()) is None and time.monotonic() < deadline:
        pause.wait(0.005)
    return found
