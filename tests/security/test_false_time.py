"""A false event time hides no faulty reading of its station."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Mosquitto, wait_until
from tests.support.processes import Client, Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES

_TOPIC = "plant/line1/station7/reading"
_FAULTY_READINGS = 20
_EVERY_WINDOW = '[alerts]\nmode = "every_window"\n'
_LONG_SKEW = "[windows]\nmax_skew = 60.0\n"


@pytest.fixture
def plant(mosquitto: Mosquitto) -> Iterator[Client]:
    """A client that sends the readings, and gets the alerts."""
    with connect_client(mosquitto.port, "sensor-monitor/alerts/#") as client:
        yield client


def _send(plant: Client, values: list[float], ahead_s: float = 0.0) -> float:
    """Publish a reading whose time is ahead of the clock; return its event time."""
    ts = time.time() + ahead_s
    plant.publish(_TOPIC, {"ts": ts, **dict(zip(NAMES, values, strict=True))})
    return ts


@pytest.mark.parametrize("has_one_each", [False, True])
@pytest.mark.parametrize(
    ("settings", "ahead_s"),
    [("", 4.5), ("", 59.0), (_LONG_SKEW, 4.5), (_LONG_SKEW, 14.0), (_LONG_SKEW, 59.0)],
)
def test_false_time(
    tmp_path: Path,
    toy_bundle: Path,
    mosquitto: Mosquitto,
    plant: Client,
    settings: str,
    ahead_s: float,
    *,
    has_one_each: bool,
) -> None:
    """All of 20 faulty readings are seen, after one false time or with one before each."""
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port, settings + _EVERY_WINDOW)):
        for _ in range(4):
            _send(plant, HEALTHY)
        faulty_ts = set()
        for number in range(_FAULTY_READINGS):
            if has_one_each or number == 0:
                _send(plant, HEALTHY, ahead_s)
            faulty_ts.add(_send(plant, FAULTY))
        wait_until(lambda: faulty_ts <= _last_ts_of_alerts(plant), "an alert of each faulty reading")


def _last_ts_of_alerts(plant: Client) -> set[float]:
    return {event["window"]["ts"][-1] for event in plant.payloads("sensor-monitor/alerts/")}
