"""Other sensors than two pairs: from a recording to verdicts, by the commands that the docs name."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from monitor.cli.main import main as monitor_command
from tests.conftest import ROOT, Mosquitto, wait_until
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.small_training import train_on_simulation
from training.cli.main import main as training_command

pytestmark = pytest.mark.tensorflow

CONFIGS = {path.stem: path for path in sorted((ROOT / "config" / "sensors").glob("*.toml"))}
LONE_NOTE = "pressure_1 has no neighbour: only limits, spikes and stillness can be found"


@pytest.mark.parametrize("shape", CONFIGS)
def test_from_a_recording_to_verdicts(
    shape: str, tmp_path: Path, mosquitto: Mosquitto, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each file of config/sensors works with every command, and what has a neighbour is judged well."""
    bundle = train_on_simulation(CONFIGS[shape], tmp_path)
    faulty = str(tmp_path / "faulty.csv")
    manifest = json.loads((bundle / "manifest.json").read_text())
    names = [feature["name"] for feature in manifest["features"]]
    assert pd.read_csv(faulty).columns.tolist() == ["ts", "group", *names, "label", "kind"]
    assert manifest["steps"] == (5 if shape == "five-steps" else 3)
    is_lone = shape == "lone-sensors"
    assert (LONE_NOTE in capfd.readouterr().out) == is_lone
    report = (bundle / "report" / "report.html").read_text()
    assert (LONE_NOTE in report) == is_lone

    for command in ("evaluate", "explain"):
        out = ["--out", str(tmp_path / command)]
        training_command([command, "--bundle", str(bundle), "--recording", faulty, *out])
    training_command(["inspect", "--bundle", str(bundle), "--out", str(tmp_path / "weights")])
    quality = json.loads((tmp_path / "evaluate" / "evaluation.json").read_text())
    assert quality["windows"]["f1"] > (0.3 if is_lone else 0.9)

    scores = tmp_path / "scores.csv"
    events = tmp_path / "events.jsonl"
    backtest = ["backtest", "--bundle", str(bundle), "--recording", faulty, "--out", str(scores)]
    assert monitor_command([*backtest, "--alerts-out", str(events)]) == 0
    assert (pd.read_csv(scores)["prediction"] == "Faulty").sum() > 100
    assert monitor_command(["check", "--bundle", str(bundle)]) == 0
    assert (LONE_NOTE in capfd.readouterr().out) == is_lone
    _check_live(tmp_path, bundle, mosquitto.port, faulty, names)


def _check_live(folder: Path, bundle: Path, port: int, recording: str, names: Sequence[str]) -> None:
    """Replay a recording to a running monitor: its alerts are those of `backtest`."""
    expected = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    ids = {(event["id"], event["status"]) for event in expected}
    assert ids
    with (
        connect_client(port, "sensor-monitor/#") as client,
        run_monitor(Monitor(folder, bundle, port)),
    ):
        assert (
            monitor_command(["replay", recording, "--config", str(folder / "monitor.toml"), "--speed", "0"])
            == 0
        )
        wait_until(lambda: len(client.payloads("sensor-monitor/alerts/")) >= len(ids), "all alerts arrive")
        alerts = client.payloads("sensor-monitor/alerts/")
        assert {(alert["id"], alert["status"]) for alert in alerts} == ids
        states = client.payloads("sensor-monitor/state/")
        assert all(len(alert["window"]["values"][0]) == len(names) for alert in alerts)
        assert set(states[-1]["shows_from"]) == set(names)


def test_a_plant_at_rest(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`fit --healthy` takes other sensors too, and says how the default bundle does beside it, if it can."""
    config = CONFIGS["three-temperatures"]
    bundle, plant = tmp_path / "bundle", str(tmp_path / "plant.csv")
    settings = ["--config", str(config)]
    training_command(["simulate", "--out", plant, "--groups", "1", "--hours", "1", *settings])
    small = ["--network", "dense", "--units", "8,8,8", "--epochs", "1"]
    training_command(["fit", "--healthy", plant, "--bundle", str(bundle), *small, *settings])
    output = capfd.readouterr().out
    assert "IT DOES NOT BEAT the default bundle" in output
    beside = tmp_path / "bundle-not-better"
    assert json.loads((beside / "manifest.json").read_text())["data"]["healthy"]["suspicious_stretches"] == 0
