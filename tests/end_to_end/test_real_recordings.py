"""The whole job on real recordings: train, replay through a real broker into a real process, compare."""

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
from tests.support.processes import Client, Monitor, client, running
from tests.support.toy_bundle import NAMES

GROUP = "lwsndr/motes1-2"
TOPIC = f"plant/{GROUP}/reading"
# The example of the notebook, and the same with a second temperature that agrees with the first.
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
class Trained:
    """What training left behind."""

    bundle: Path
    healthy: Path
    """The recording as it is."""
    unseen: Path
    """The last fifth of it, with faults, which training has not seen."""


def command(module: str, *words: object) -> None:
    """Run one of our commands as a person would."""
    subprocess.run([sys.executable, "-m", module, *map(str, words)], check=True)


def read(path: Path) -> list[dict[str, str]]:
    """Return a CSV file's rows."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, str]]) -> None:
    """Write rows as a CSV file."""
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


@pytest.fixture(scope="module")
def trained(lwsndr: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train with default settings on the first 80 % of motes 1 and 2, with faults injected at 0.3."""
    folder = tmp_path_factory.mktemp("real")
    motes = [lwsndr / f"multihop_outdoor_moteid{number}_data.txt" for number in (1, 2)]
    healthy, injected, bundle = folder / "healthy.csv", folder / "injected.csv", folder / "bundle"
    command("training", "import", "lwsndr", *motes, "--out", healthy, "--group", GROUP)
    command("training", "inject", healthy, "--out", injected, "--rate", 0.3, "--seed", 1)
    rows = read(injected)
    seen, unseen = folder / "seen.csv", folder / "unseen.csv"
    write(seen, rows[: len(rows) * 8 // 10])
    write(unseen, rows[len(rows) * 8 // 10 :])
    command("training", "fit", "--recording", seen, "--bundle", bundle, "--test-share", 0)
    return Trained(bundle, healthy, unseen)


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
class Backtest:
    """What `backtest` wrote."""

    scores: list[dict[str, str]]
    events: list[dict[str, Any]]


def backtest(folder: Path, trained: Trained, alerts: str = "") -> Backtest:
    """Judge the unseen part without a broker."""
    config, out, events = folder / "backtest.toml", folder / "scores.csv", folder / "events.jsonl"
    config.write_text(alerts)
    options = ["--config", config, "--bundle", trained.bundle, "--recording", trained.unseen]
    command("monitor", "backtest", *options, "--out", out, "--alerts-out", events)
    return Backtest(read(out), [json.loads(line) for line in events.read_text().splitlines()])


@pytest.mark.parametrize("alerts", [LIFECYCLE, EVERY_WINDOW, WITH_RULES])
def test_daemon_does_what_backtest_says(
    tmp_path: Path, mosquitto: Mosquitto, trained: Trained, alerts: str
) -> None:
    """Every reading is counted, and alerts and scores over MQTT are those of `backtest`."""
    expected = backtest(tmp_path, trained, alerts)
    monitor = Monitor(tmp_path, trained.bundle, mosquitto.port, alerts)
    with client(mosquitto.port, "sensor-monitor/alerts/#") as subscriber, running(monitor):
        config = tmp_path / "replay.toml"
        config.write_text(f"[mqtt]\nport = {mosquitto.port}\n")
        command("monitor", "replay", trained.unseen, "--config", config, "--speed", 0)

        outcomes = Counter(row["outcome"] for row in expected.scores)
        assert outcomes.total() == len(read(trained.unseen))
        wait_until(lambda: monitor.outcomes() == outcomes, f"the outcomes are {outcomes}")
        predictions = Counter(row["prediction"] for row in expected.scores if row["prediction"])
        assert monitor.metric("predictions_total", label="Faulty") == predictions["Faulty"]
        assert monitor.metric("predictions_total", label="Normal") == predictions["Normal"]
        assert predictions.total() == outcomes["judged"]

        wait_until(lambda: len(subscriber.messages) >= len(expected.events), "the events come")
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
            table = {float(row["ts"]): row for row in expected.scores}
            in_table = [table[event["window"]["ts"][-1]] for event in events]
            assert scores == pytest.approx([float(row["score"]) for row in in_table], abs=1e-6)
            assert len(events) == predictions["Faulty"]


def test_quality(tmp_path: Path, trained: Trained) -> None:
    """F1 over the windows of the unseen part is at least 0.95."""
    labels = [row["label"] == "-1" for row in read(trained.unseen)]
    hits = Counter[tuple[bool, bool]]()
    for index, row in enumerate(backtest(tmp_path, trained).scores):
        if row["outcome"] == "judged":
            hits[any(labels[index - 2 : index + 1]), row["prediction"] == "Faulty"] += 1
    found, missed, false = hits[True, True], hits[True, False], hits[False, True]
    f1 = 2 * found / (2 * found + missed + false)
    assert f1 >= 0.95, f"F1 {f1:.4f}: {found} found, {missed} missed, {false} false"


@pytest.fixture
def listener(mosquitto: Mosquitto) -> Iterator[Client]:
    """A client that hears everything the monitor says."""
    with client(mosquitto.port, "sensor-monitor/#") as connected:
        yield connected


@pytest.mark.parametrize(("example", "faulty"), [(FAULTY_EXAMPLE, True), (NORMAL_EXAMPLE, False)])
def test_example_of_the_notebook(
    tmp_path: Path,
    mosquitto: Mosquitto,
    listener: Client,
    trained: Trained,
    example: list[list[float]],
    faulty: bool,  # noqa: FBT001, a parameter of the test
) -> None:
    """The notebook's example is Faulty, and Normal with the second temperature mended, both over MQTT."""
    before = read(trained.healthy)[2700:3000]
    last = float(before[-1]["ts"])
    readings = [{"ts": float(row["ts"]), **{name: float(row[name]) for name in NAMES}} for row in before]
    readings += [
        {"ts": last + 5 * number, **dict(zip(NAMES, values, strict=True))}
        for number, values in enumerate(example, start=1)
    ]
    monitor = Monitor(tmp_path, trained.bundle, mosquitto.port, '[alerts]\nmode = "every_window"')
    with running(monitor):
        for reading in readings:
            listener.publish(TOPIC, reading)
        wait_until(lambda: sum(monitor.outcomes().values()) == 303, "all are counted")
        assert monitor.outcomes() == {"filling": 2, "warming": 7, "judged": 294}
        assert monitor.terminate() == 0
    windows = [event["window"]["values"] for event in listener.payloads("sensor-monitor/alerts/")]
    assert (example in windows) == faulty
    assert listener.payloads(f"sensor-monitor/state/{GROUP}")[-1]["state"] == (
        "faulty" if faulty else "normal"
    )
