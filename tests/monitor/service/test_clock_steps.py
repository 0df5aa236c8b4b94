"""A wall clock that is wrong when the monitor starts and is set right later: real process, real broker."""

import json
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
    folder: Path, bundle: Path, broker: Mosquitto, clock: SettableClock
) -> Iterator[tuple[Monitor, Plant]]:
    """Run a monitor with a clock of the test's, and its plant."""
    monitor = Monitor(folder, bundle, broker.port, SETTINGS, command=clock.command)
    with run_monitor(monitor), connect_client(broker.port, "sensor-monitor/#") as client:
        yield monitor, Plant(client, monitor)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("offset", [YEAR_S, -YEAR_S])
def test_clock_set_right(
    tmp_path: Path, toy_bundle: Path, mosquitto: Mosquitto, offset: float, *, restarts: bool
) -> None:
    """A clock a year off that is set right: no reading is late, alerts are dated right, mutes keep their length."""
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
        fresh = ["filling"] if offset > 0 or not restarts else ["gap"]
        assert plant.send("without", *[HEALTHY] * 3, FAULTY) == [*fresh, "filling", "judged", "judged"]
        wait_until(lambda: plant.alerts("without"), "the alert is published")
        ((status, started_at),) = plant.alerts("without")
        assert status == "firing"
        assert abs(started_at - time.time()) < 60
        if (
            offset > 0 or not restarts
        ):  # a mute whose end has passed, as the clock says, ends with the process
            wait_until(
                lambda: 0 < plant.mutes().get("l/muted", 0) - time.time() <= 600, "the mute's end is right"
            )
