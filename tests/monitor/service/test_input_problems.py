"""What a plant's readings that can't be judged look like, with a real broker and a real monitor."""

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.cli.main import main
from monitor.config.settings import WindowSettings
from monitor.core.messages import DUP_FLAG, RETAIN_FLAG
from monitor.service.settings_to_stages import choose_stale_after
from tests.conftest import Mosquitto, wait_until
from tests.monitor.service.pipeline_fixture import PipelineHarness, message
from tests.support.processes import Client, Monitor, connect_client, run_monitor
from tests.support.toy_bundle import HEALTHY, NAMES, save_toy_bundle

TOPIC = "plant/line1/station7/reading"
VALUES = dict(zip(NAMES, HEALTHY, strict=True))
NOT_A_NUMBER = (
    "none of 20 readings since the start is usable; most often malformed: Expected `float`, got `str` - at "
    "`$.temperature_1`: 'unavailable' is no number"
)
TOO_SLOW = (
    "0 of 5 judged: all gap; readings come every 300 s, max_gap is 15; expected windows.max_gap = 900, "
    "three intervals, or a bundle fitted on readings at this pace"
)


def _publish_unusable(plant: Client) -> None:
    """Publish 20 messages: every fourth is no JSON, the others have a text in place of a number."""
    for number in range(20):
        text = {"ts": 1000.0 + 5 * number, **VALUES, "temperature_1": "unavailable"}
        plant.publish(TOPIC, text if number % 4 else b"{")


def test_unusable_readings(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """/readyz and log say why nothing can be judged: unusable readings, then readings too far apart."""
    with (
        connect_client(mosquitto.port) as plant,
        run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port)) as monitor,
    ):
        assert monitor.get("/readyz") == (200, "ok\n")
        _publish_unusable(plant)
        wait_until(lambda: monitor.get("/readyz") == (200, f"ok; {NOT_A_NUMBER}\n"), "/readyz says it")
        for number in range(5):
            plant.publish(TOPIC, {"ts": 1000.0 + 300 * number, **VALUES})
        wait_until(lambda: monitor.get("/readyz") == (200, f"ok; {TOO_SLOW}\n"), "readings come too slowly")
        for number in range(3):
            plant.publish(TOPIC, {"ts": 9000.0 + 5 * number, **VALUES})
        wait_until(lambda: monitor.get("/readyz") == (200, "ok\n"), "a window is complete")
        monitor.wait_for_log(f"WARNING input: {NOT_A_NUMBER}\n")
        monitor.wait_for_log("WARNING input: 0 of ")
        assert monitor.log().count("input: ") == 2


@pytest.mark.parametrize(
    ("settings", "sample_period", "expected"),
    [
        ({}, 5.0, 60.0),
        ({}, 15.0, 60.0),
        ({}, 300.0, 1200.0),
        ({"max_gap": 400.0}, 300.0, 700.0),
        ({"stale_after": 15.0}, 5.0, 15.0),
        ({"stale_after": 0.3}, 0.1, 0.3),
        ({"stale_after": 900.0}, 300.0, 900.0),
    ],
)
def test_stale_after(settings: dict[str, float], sample_period: float, expected: float) -> None:
    """Silence begins after a minute, but not before a gap and one more sample period, or as set."""
    assert choose_stale_after(WindowSettings(**settings), sample_period) == pytest.approx(expected)


def test_slow_bundle(tmp_path: Path) -> None:
    """With a bundle of readings every 300 s such readings are judged, and no group is silent in between."""
    save_toy_bundle(tmp_path / "bundle", sample_period=300.0)
    harness = PipelineHarness(tmp_path / "bundle")
    for clock in np.arange(0.0, 1500.0, 60.0):
        harness.run((clock, [message(clock - 1500)] if clock % 300 == 0 else []))
    assert harness.outcomes() == {"filling": 2, "judged": 3}
    assert {state["state"] for state in harness.payloads("state/")} == {"filling", "normal"}


def test_nothing_unusable_after_a_start(toy_bundle: Path) -> None:
    """Neither retained and redelivered readings nor windows that fill are a problem of the input."""
    harness = PipelineHarness(toy_bundle)
    repeated = [(*message(ts)[:3], flag) for ts in (0.25, 5.25) for flag in (RETAIN_FLAG, DUP_FLAG)]
    harness.run((0, [message(5.25)]))
    harness = PipelineHarness(toy_bundle, stored={"g": harness.groups.dump("g")})
    harness.run(*((clock, repeated) for clock in range(0, 50, 5)))
    assert harness.outcomes() == {"late": 20, "duplicate": 20}
    assert harness.input_problems == []
    harness.run((51, [message(10)]), (56, []), (59, []))
    assert harness.input_problems == []
    harness.run(*((clock, [message(10)]) for clock in range(60, 91, 10)))
    kind, problem = harness.input_problems[0]
    assert kind == "unusable"
    assert problem.startswith(
        "none of 4 readings since the last usable one is usable; most often duplicate: "
    )


def _config(folder: Path, bundle: Path, port: int) -> str:
    file = folder / "monitor.toml"
    store = folder / "state.db"
    file.write_text(
        f'bundle = "{bundle}"\n[mqtt]\nport = {port}\n[http]\nport = 0\n[store]\npath = "{store}"\n'
    )
    return str(file)


def test_check_of_unusable_readings(
    tmp_path: Path, mosquitto: Mosquitto, capsys: pytest.CaptureFixture[str]
) -> None:
    """`check --connect` ends with exit code 1 and the commonest reason where no reading is usable."""
    save_toy_bundle(tmp_path / "bundle", sample_period=0.2)
    config = _config(tmp_path, tmp_path / "bundle", mosquitto.port)
    with connect_client(mosquitto.port) as plant:
        plant.publish(TOPIC, {**VALUES, "temperature_1": "unavailable"}, retain=True)
        assert main(["check", "--config", config, "--connect"]) == 1
        output = capsys.readouterr()
        assert f"broker 127.0.0.1:{mosquitto.port}: ok" in output.out
        assert "input: none of 1 readings within 1.2 s is usable; most often malformed: Exp" in output.err
        plant.publish(TOPIC, {"ts": time.time(), **VALUES}, retain=True)
        assert main(["check", "--config", config, "--connect"]) == 0
        assert "reading: ok: a usable reading of group 'line1/station7' came" in capsys.readouterr().out


VALUES_TOML = """
[[input.sources]]
topic = "plant/{line}/{feature}"
[input.align]
period = 5.0
wait = 5.0
"""


def test_plant_of_values(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """/readyz and log say why no reading can be made of values: none is usable, then a feature is missing."""
    with (
        connect_client(mosquitto.port) as plant,
        run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port, VALUES_TOML)) as monitor,
    ):

        def publish(ts: float, values: dict[str, Any]) -> None:
            for line in ("line1", "line2"):
                for name, value in values.items():
                    plant.publish(f"plant/{line}/{name}", {"ts": ts, "value": value})

        publish(1000.0, dict.fromkeys(NAMES, "broken"))
        unusable = (
            "none of 8 values since the start is usable; most often malformed: $.value is 'broken'; "
            "expected a number, or this text in absent"
        )
        wait_until(lambda: monitor.get("/readyz") == (200, f"ok; {unusable}\n"), "none is usable")
        three = {name: 20.0 for name in NAMES if name != "temperature_2"}
        missing = "no reading can be made: temperature_2 has never come in 2 groups"
        timestamps = itertools.count(1000.0, 5.0)

        def publish_until_known() -> bool:
            publish(next(timestamps), three)
            return monitor.get("/readyz") == (200, f"ok; {missing}\n")

        wait_until(publish_until_known, "a feature is missing")
        assert monitor.get("/livez") == (200, "ok\n")
        for problem in (unusable, missing):
            monitor.wait_for_log(f"Z WARNING input: {problem}\n")
        for _ in range(3):
            publish(next(timestamps), dict(zip(NAMES, HEALTHY, strict=True)))
        wait_until(lambda: monitor.get("/readyz") == (200, "ok\n"), "readings are made")
        assert monitor.metric("values_total", outcome="malformed") == 8
        assert monitor.metric("feature_max_age_seconds", feature="temperature_2") == 450
        assert monitor.metric("feature_age_seconds", feature="temperature_2", quantile="1") > 1e9
