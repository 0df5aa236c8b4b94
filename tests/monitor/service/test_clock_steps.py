"""A wall clock that is wrong when the monitor starts and is set right later: real process, real broker."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Mosquitto, wait_until
from tests.support.processes import Client, Monitor, connect_client, run_monitor
from tests.support.settable_clock import SettableClock
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES

YEAR_S = 365 * 86400.0
SETTINGS = "[alerts]\nraise_after = 1\nclear_after = 1\nmin_interval = 3600\nrenotify_after = 3600"


class Plant:
    """The plant's side: sends readings one by one, each once the one before is counted."""

    def __init__(self, client: Client, monitor: Monitor) -> None:
        self.client = client
        self._monitor = monitor

    def send(self, group: str, *rows: list[float], ts: float | None = None) -> list[str]:
        """Send readings, a second apart where they have `ts`; return their outcomes."""
        outcomes = []
        for number, values in enumerate(rows):
            before = self._monitor.outcomes()
            content: dict[str, Any] = dict(zip(NAMES, values, strict=True))
            self.client.publish(
                f"plant/l/{group}/reading", content | ({} if ts is None else {"ts": ts + number})
            )
            wait_until(lambda before=before: self._monitor.outcomes() != before, "the reading is counted")
            after = self._monitor.outcomes()
            outcomes += [name for name in after if after[name] != before.get(name)]
        return outcomes

    def alerts(self, group: str) -> list[tuple[str, float]]:
        """Return the status of each alert event of a group, and when it began or ended in Unix seconds."""
        return [
            (event["status"], _seconds(event["ended_at"] or event["started_at"]))
            for event in self.client.payloads(f"sensor-monitor/alerts/l/{group}")
        ]

    def mute(self, pattern: str, minutes: float) -> None:
        """Mute groups, and wait until the mute is published."""
        self.client.publish("sensor-monitor/request/silence", {"group": pattern, "minutes": minutes})
        wait_until(lambda: pattern in self.mutes(), "the mute is published")

    def mutes(self) -> dict[str, float]:
        """Return the end of each mute as published last, in Unix seconds."""
        payloads = self.client.payloads("sensor-monitor/muted")
        return {mute["group"]: _seconds(mute["until"]) for mute in payloads[-1]["muted"]} if payloads else {}


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@contextmanager
def running_plant(
    folder: Path, bundle: Path, broker: Mosquitto, clock: SettableClock, settings: str = SETTINGS
) -> Iterator[tuple[Monitor, Plant]]:
    """Run a monitor with a clock of the test's, and its plant."""
    monitor = Monitor(folder, bundle, broker.port, settings, command=clock.command)
    with run_monitor(monitor), connect_client(broker.port, "sensor-monitor/#") as client:
        yield monitor, Plant(client, monitor)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("offset", [YEAR_S, -YEAR_S])
def test_clock_set_right(
    tmp_path: Path, toy_bundle: Path, mosquitto: Mosquitto, offset: float, *, restarts: bool
) -> None:
    """After a clock is set right no reading is late, alerts are dated right, mutes keep their length."""
    clock = SettableClock(tmp_path / "clock")
    clock.set(offset)
    with running_plant(tmp_path, toy_bundle, mosquitto, clock) as (monitor, plant):
        assert plant.send("without", *[HEALTHY] * 3) == ["filling", "filling", "judged"]
        plant.send("muted", HEALTHY)
        plant.mute("l/muted", 10)
        if restarts:
            assert monitor.terminate() == 0
        clock.set(0.0)
        if restarts:
            monitor.start_ready()
        first = "gap" if restarts and offset < 0 else "filling"
        assert plant.send("without", *[HEALTHY] * 3, FAULTY) == [first, "filling", "judged", "judged"]
        wait_until(lambda: plant.alerts("without"), "the alert is published")
        ((status, started_at),) = plant.alerts("without")
        assert status == "firing"
        assert abs(started_at - time.time()) < 60
        if restarts and offset < 0:  # nobody can tell that the mute's end, which has passed, is wrong
            wait_until(lambda: plant.mutes() == {}, "the mute is over")
        else:
            wait_until(lambda: 0 < plant.mutes()["l/muted"] - time.time() <= 600, "its end is right")


@pytest.mark.parametrize("step", [YEAR_S, -YEAR_S])
def test_min_interval(tmp_path: Path, toy_bundle: Path, mosquitto: Mosquitto, step: float) -> None:
    """A step of the clock neither ends the time between two incidents nor makes it last for a year."""
    clock = SettableClock(tmp_path / "clock")
    settings = SETTINGS + '\n[[alerts.rules]]\ngroups = "l/soon"\nmin_interval = 0.001'
    with running_plant(tmp_path, toy_bundle, mosquitto, clock, settings) as (_, plant):
        incident = [*[HEALTHY] * 3, FAULTY, *[HEALTHY] * 3]
        for group in ("later", "soon"):
            plant.send(group, *incident)
        clock.set(step)
        for group in ("later", "soon"):
            plant.send(group, *incident)
        wait_until(lambda: len(plant.alerts("soon")) == 4, "the second incident is published")
        assert len(plant.alerts("later")) == 2
        assert all(abs(ts - clock.time()) < 60 for _, ts in plant.alerts("soon")[2:])


@pytest.mark.parametrize("step", [YEAR_S, -3600.0])
def test_readings_with_ts(tmp_path: Path, toy_bundle: Path, mosquitto: Mosquitto, step: float) -> None:
    """A group that sends its own times goes on after a step, and while the clock is behind it is `future`."""
    clock = SettableClock(tmp_path / "clock")
    with running_plant(tmp_path, toy_bundle, mosquitto, clock) as (monitor, plant):
        begin = round(time.time()) - 10
        assert plant.send("with", *[HEALTHY] * 3, ts=begin) == ["filling", "filling", "judged"]
        clock.set(step)
        assert plant.send("with", HEALTHY, ts=begin + 3) == ["judged" if step > 0 else "future"]
        clock.set(0.0)
        assert plant.send("with", HEALTHY, ts=begin + 4) == ["judged"]
        wait_until(lambda: monitor.log().count("this machine's clock was set") == 2, "the log has both steps")
