"""End to end on real recordings: train, replay through a real broker to a real process, and compare."""

import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Mosquitto, wait_until
from tests.support.processes import Client, Monitor, connect_client, run_monitor
from tests.support.toy_bundle import NAMES

GROUP = "lwsndr/motes1-2"
TOPIC = f"plant/{GROUP}/reading"
# The notebook's example, and the same window with a second temperature that agrees with the first.
FAULTY_EXAMPLE = [
    [27.49, 67.81, 55.2, 67.78],
    [27.49, 67.81, 55.14, 67.87],
    [27.49, 67.81, 55.14, 67.87],
]
NORMAL_EXAMPLE = [
    [27.49, 67.81, 27.6, 67.78],
    [27.49, 67.81, 27.57, 67.87],
    [27.49, 67.81, 27.57, 67.87],
]


@dataclass(frozen=True)
class TrainingOutput:
    """The bundle that training wrote, and the recordings that the tests use with it."""

    bundle_folder: Path
    healthy_recording: Path
    """The whole recording, without injected faults."""
    unseen_recording: Path
    """The last fifth of the recording with injected faults, which training has not seen."""


def run_command(module: str, *arguments: object) -> None:
    """Run `python -m MODULE ARGUMENTS...`; fail unless it exits 0."""
    subprocess.run([sys.executable, "-m", module, *map(str, arguments)], check=True)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return a CSV file's rows."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    """Write rows as a CSV file."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def training_output(lwsndr: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingOutput:
    """Train with default settings on the first 80 % of motes 1 and 2, with faults injected at 0.3."""
    folder = tmp_path_factory.mktemp("real")
    motes = [lwsndr / f"multihop_outdoor_moteid{number}_data.txt" for number in (1, 2)]
    healthy_recording, injected_recording, bundle_folder = (
        folder / "healthy.csv",
        folder / "injected.csv",
        folder / "bundle",
    )
    run_command("training", "import", "lwsndr", *motes, "--out", healthy_recording, "--group", GROUP)
    run_command(
        "training", "inject", healthy_recording, "--out", injected_recording, "--rate", 0.3, "--seed", 1
    )
    rows = read_csv(injected_recording)
    training_recording, unseen_recording = folder / "seen.csv", folder / "unseen.csv"
    write_csv(training_recording, rows[: len(rows) * 8 // 10])
    write_csv(unseen_recording, rows[len(rows) * 8 // 10 :])
    run_command(
        "training", "fit", "--recording", training_recording, "--bundle", bundle_folder, "--test-share", 0
    )
    return TrainingOutput(bundle_folder, healthy_recording, unseen_recording)


LIFECYCLE = '[alerts]\nmode = "lifecycle"'
EVERY_WINDOW = '[alerts]\nmode = "every_window"'
WITH_RULES = """
[alerts]
raise_after = 50
[[alerts.rules]]
groups = "lwsndr/*"
raise_after = 2
clear_after = 2
clear_below = 0.2
min_interval = 60.0
renotify_after = 15.0
"""


@dataclass(frozen=True)
class BacktestOutput:
    """The output files of `backtest`."""

    score_rows: list[dict[str, str]]
    events: list[dict[str, Any]]


def run_backtest(folder: Path, training_output: TrainingOutput, settings: str = "") -> BacktestOutput:
    """Run `backtest` on the unseen recording."""
    config, out, events = folder / "backtest.toml", folder / "scores.csv", folder / "events.jsonl"
    config.write_text(settings)
    options = [
        "--config",
        config,
        "--bundle",
        training_output.bundle_folder,
        "--recording",
        training_output.unseen_recording,
    ]
    run_command("monitor", "backtest", *options, "--out", out, "--alerts-out", events)
    return BacktestOutput(read_csv(out), [json.loads(line) for line in events.read_text().splitlines()])


@pytest.mark.parametrize("alerts", [LIFECYCLE, EVERY_WINDOW, WITH_RULES])
def test_daemon_matches_backtest(
    tmp_path: Path, mosquitto: Mosquitto, training_output: TrainingOutput, alerts: str
) -> None:
    """The daemon counts every reading, and publishes the alerts and scores that `backtest` computes."""
    expected = run_backtest(tmp_path, training_output, alerts)
    monitor = Monitor(tmp_path, training_output.bundle_folder, mosquitto.port, alerts)
    with connect_client(mosquitto.port, "sensor-monitor/alerts/#") as subscriber, run_monitor(monitor):
        config = tmp_path / "replay.toml"
        config.write_text(f"[mqtt]\nport = {mosquitto.port}\n")
        run_command("monitor", "replay", training_output.unseen_recording, "--config", config, "--speed", 0)

        outcomes = Counter(row["outcome"] for row in expected.score_rows)
        assert outcomes.total() == len(read_csv(training_output.unseen_recording))
        wait_until(lambda: monitor.outcomes() == outcomes, f"the outcomes are {outcomes}")
        predictions = Counter(row["prediction"] for row in expected.score_rows if row["prediction"])
        for label in ("Faulty", "Normal"):
            monitor.wait_for_metric(predictions[label], "predictions_total", label=label)
        assert predictions.total() == outcomes["judged"]

        wait_until(lambda: len(subscriber.messages) >= len(expected.events), "the events are received")
        assert monitor.terminate() == 0
        events = subscriber.payloads("sensor-monitor/alerts/")
        scores = [event.pop("score") for event in events]
        expected_scores = [event.pop("score") for event in expected.events]
        assert events == expected.events
        assert scores == pytest.approx(expected_scores, abs=1e-6)
        if alerts == WITH_RULES:
            assert any(event["repeat"] for event in events)
        assert any(event["contributions"] for event in events)
        if alerts == EVERY_WINDOW:
            scores_by_ts = {float(row["ts"]): row["score"] for row in expected.score_rows}
            table_scores = [float(scores_by_ts[event["window"]["ts"][-1]]) for event in events]
            assert scores == pytest.approx(table_scores, abs=1e-6)
            assert len(events) == predictions["Faulty"]


def test_quality(tmp_path: Path, training_output: TrainingOutput) -> None:
    """F1 over the windows of the unseen recording is at least 0.95."""
    labels = [row["label"] == "-1" for row in read_csv(training_output.unseen_recording)]
    confusion = Counter[tuple[bool, bool]]()
    for index, row in enumerate(run_backtest(tmp_path, training_output).score_rows):
        if row["outcome"] == "judged":
            confusion[any(labels[index - 2 : index + 1]), row["prediction"] == "Faulty"] += 1
    true_positives, false_negatives, false_positives = (
        confusion[True, True],
        confusion[True, False],
        confusion[False, True],
    )
    f1 = 2 * true_positives / (2 * true_positives + false_negatives + false_positives)
    assert f1 >= 0.95, (
        f"F1 {f1:.4f}: {true_positives} found, {false_negatives} missed, {false_positives} false"
    )


@pytest.fixture
def mqtt_subscriber(mosquitto: Mosquitto) -> Iterator[Client]:
    """A client that is subscribed to everything that the monitor publishes."""
    with connect_client(mosquitto.port, "sensor-monitor/#") as subscriber:
        yield subscriber


@pytest.mark.parametrize(("example", "faulty"), [(FAULTY_EXAMPLE, True), (NORMAL_EXAMPLE, False)])
def test_example_of_the_notebook(
    tmp_path: Path,
    mosquitto: Mosquitto,
    mqtt_subscriber: Client,
    training_output: TrainingOutput,
    example: list[list[float]],
    faulty: bool,  # noqa: FBT001, a parameter of the test
) -> None:
    """Over MQTT, the notebook's example is Faulty, and Normal with the second temperature corrected."""
    preceding_rows = read_csv(training_output.healthy_recording)[2700:3000]
    last_ts = float(preceding_rows[-1]["ts"])
    readings = [
        {"ts": float(row["ts"]), **{name: float(row[name]) for name in NAMES}} for row in preceding_rows
    ]
    readings += [
        {"ts": last_ts + 5 * number, **dict(zip(NAMES, values, strict=True))}
        for number, values in enumerate(example, start=1)
    ]
    monitor = Monitor(
        tmp_path, training_output.bundle_folder, mosquitto.port, '[alerts]\nmode = "every_window"'
    )
    with run_monitor(monitor):
        for reading in readings:
            mqtt_subscriber.publish(TOPIC, reading)
        wait_until(lambda: sum(monitor.outcomes().values()) == 303, "all readings are counted")
        assert monitor.outcomes() == {"filling": 2, "warming": 7, "judged": 294}
        assert monitor.terminate() == 0
    # The last that it publishes: what it published before has arrived by then.
    wait_until(lambda: mqtt_subscriber.texts("sensor-monitor/status")[-1] == "offline", "it says offline")
    windows = [event["window"]["values"] for event in mqtt_subscriber.payloads("sensor-monitor/alerts/")]
    assert (example in windows) == faulty
    assert mqtt_subscriber.payloads(f"sensor-monitor/state/{GROUP}")[-1]["state"] == (
        "faulty" if faulty else "normal"
    )
