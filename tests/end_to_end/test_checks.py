"""End to end: a fault of each check, from a real broker to a real process with the default bundle."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.bundle.default_bundle import DEFAULT_BUNDLE_FOLDER
from monitor.core.arrays import FloatArray
from tests.conftest import Mosquitto, wait_until
from tests.monitor.detect.checks.pairs import DAY_S, GROUP, quiet_pairs
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import NAMES

SETTINGS = """
[windows]
max_gap = 7200.0
stale_after = 36000.0
[checks.sentinels]
humidity_2 = [99.0]
"""

Recording = tuple[FloatArray, FloatArray]
"""Event times (reading,) and values (reading, feature)."""


def _dead_from_the_start() -> Recording:
    """Both temperatures at -127 degC in the first 20 readings."""
    ts, values = quiet_pairs(5.0, 0.01)
    values[:20, [0, 2]] = -127
    return ts, values


def _sentinel() -> Recording:
    """A sentinel once."""
    ts, values = quiet_pairs(5.0, 0.01)
    values[100, 3] = 99.0
    return ts, values


def _flat() -> Recording:
    """A temperature that has one value from the first reading on."""
    ts, values = quiet_pairs(600.0, 4)
    values[:, 0] = 20.5
    return ts, values


def _at_its_floor() -> Recording:
    """A humidity that is at its floor in the first 20 readings."""
    ts, values = quiet_pairs(600.0, 1)
    values[:20, 1] = 1.0
    return ts, values


def _drifting() -> Recording:
    """A humidity that leaves its neighbour by 0.9 %RH a day from the 24th day on."""
    ts, values = quiet_pairs(3600.0, 60)
    values[:, 1] -= 0.9 * ((ts - ts[0]) / DAY_S - 24).clip(0)
    return ts, values


@pytest.mark.parametrize(
    ("record", "detector", "reason"),
    [
        (_dead_from_the_start, "limits", "temperature_2 reads -127 degC, below -100 degC, the lowest"),
        (_sentinel, "limits", "humidity_2 reads 99 %RH, which its sensor sends in place of a value"),
        (_flat, "flat", "temperature_1 has read 20.5 degC all the time since 2024-10-04T00:20:00.000Z"),
        (_at_its_floor, "flat", "humidity_1 stands at 1 %RH, the end of its range, while humidity_2 reads"),
        (_drifting, "drift", "humidity_1 and humidity_2 have come apart over days: humidity_1 reads"),
    ],
)
def test_check(
    tmp_path: Path, mosquitto: Mosquitto, record: Callable[[], Recording], detector: str, reason: str
) -> None:
    """A fault that a check finds becomes an alert that names the check, as `backtest` says it does."""
    ts, values = record()
    recording, config = tmp_path / "recording.csv", tmp_path / "settings.toml"
    with recording.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ts", "group", *NAMES])
        writer.writerows([time, GROUP, *row] for time, row in zip(ts.tolist(), values.tolist(), strict=True))
    config.write_text(f'bundle = ""\n[mqtt]\nport = {mosquitto.port}\n{SETTINGS}')
    expected = _backtest(tmp_path, config, recording)
    monitor = Monitor(tmp_path, DEFAULT_BUNDLE_FOLDER, mosquitto.port, SETTINGS)
    with connect_client(mosquitto.port, "sensor-monitor/#") as client, run_monitor(monitor):
        replay = [sys.executable, "-m", "monitor", "replay", recording, "--config", config, "--speed", "0"]
        subprocess.run(list(map(str, replay)), check=True)
        wait_until(lambda: sum(monitor.outcomes().values()) == len(ts), "all readings are counted")
        wait_until(
            lambda: len(client.payloads("sensor-monitor/alerts/")) >= len(expected), "the alerts are received"
        )
        faulty_windows = monitor.metric("faulty_windows_total", detector=detector)
        assert monitor.terminate() == 0
    events = client.payloads("sensor-monitor/alerts/")
    assert [(event["id"], event["status"], event["reason"]) for event in events] == [
        (event["id"], event["status"], event["reason"]) for event in expected
    ]
    found = [event for event in events if event["detector"] == detector and event["status"] == "firing"]
    assert len(found) == 1
    assert found[0]["reason"].startswith(reason)
    assert faulty_windows == len(_rows(tmp_path / "scores.csv", detector))
    assert faulty_windows > 0
    state = client.payloads(f"sensor-monitor/state/{GROUP}")[-1]
    assert state["detector"] == (detector if record in {_flat, _drifting} else None)
    if record is _dead_from_the_start:  # no baseline could be learnt
        assert (found[0]["score"], found[0]["contributions"]) == (None, None)


def _backtest(folder: Path, config: Path, recording: Path) -> list[dict[str, Any]]:
    """Return the alert events that `backtest` gives; its other output is scores.csv in the folder."""
    out, events = folder / "scores.csv", folder / "events.jsonl"
    command = [sys.executable, "-m", "monitor", "backtest", "--config", config, "--recording", recording]
    subprocess.run(list(map(str, [*command, "--out", out, "--alerts-out", events])), check=True)
    return [json.loads(line) for line in events.read_text().splitlines()]


def _rows(scores: Path, detector: str) -> list[dict[str, str]]:
    """Return the rows of Faulty windows that a detector found."""
    with scores.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["detector"] == detector]
    assert {row["prediction"] for row in rows} == {"Faulty"}
    return rows
