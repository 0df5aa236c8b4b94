import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from config.grafana.dashboard import PATH
from tests.conftest import Mosquitto, wait_until
from tests.observability.prometheus_server import Prometheus, expand, prometheus
from tests.support.processes import Monitor, running
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES

SECONDS = 300
"""Of the replay, longer than any test."""
SPEED = 50
"""Readings come 5 s apart: with each group, 10 a second."""


class Plant(NamedTuple):
    """A recording with faults that is replayed to a monitor, which a Prometheus scrapes."""

    server: Prometheus
    instance: str


def panels() -> list[dict[str, object]]:
    """Return the dashboard's panels but for the rows."""
    return [panel for panel in json.loads(PATH.read_text())["panels"] if panel["type"] != "row"]


def queries() -> list[object]:
    """Return title, unit and expression of each query of the dashboard."""
    return [
        pytest.param(panel, target["expr"], id=f"{panel['title']} {target['refId']}")
        for panel in panels()
        for target in panel["targets"]  # type: ignore[attr-defined]
    ]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory, toy_bundle: Path) -> Iterator[Plant]:
    """A plant where one reading in a hundred is Faulty."""
    folder = tmp_path_factory.mktemp("plant")
    with (folder / "plant.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ts", "group", *NAMES])
        for number in range(SECONDS * SPEED // 5):
            values = FAULTY if number % 100 == 5 else HEALTHY
            writer.writerows([1000 + 5 * number, f"line1/station{place}", *values] for place in (1, 2))
    broker = Mosquitto(folder)
    broker.start()
    monitor = Monitor(folder, toy_bundle, broker.port)
    try:
        with running(monitor):
            instance = monitor.address.removeprefix("http://")
            replay = subprocess.Popen(
                [sys.executable, "-m", "monitor", "replay", folder / "plant.csv",
                 "--config", folder / "monitor.toml", "--speed", str(SPEED)],
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                with prometheus(folder / "prometheus", instance) as server:
                    yield Plant(server, instance)
            finally:
                replay.kill()
                replay.wait()
    finally:
        broker.stop()


@pytest.mark.parametrize(("panel", "expr"), queries())
def test_dashboard_query(plant: Plant, panel: dict[str, object], expr: str) -> None:
    """Each query of the dashboard yields data, in its unit's range, with the labels of its legend."""
    expanded = expand(expr, plant.instance)
    wait_until(lambda: plant.server.query(expanded), f"{expanded} yields data")
    samples = plant.server.query(expanded)
    unit = panel["fieldConfig"]["defaults"]["unit"]  # type: ignore[index]
    highest = {"percentunit": 1.0 if "cpu" not in expr else 64.0, "s": 60.0}.get(unit, float("inf"))
    assert all(0 <= sample.value <= highest for sample in samples), samples
    (legend,) = {t["legendFormat"] for t in panel["targets"] if t["expr"] == expr}  # type: ignore[attr-defined]
    wanted = set(re.findall(r"\{\{(\w+)\}\}", legend))
    assert all(wanted <= sample.labels.keys() for sample in samples), samples
    if unit == "bytes":
        assert all(sample.value > 10e6 for sample in samples), "a process takes more than 10 MB"


def test_instances_to_choose(plant: Plant) -> None:
    """The variable for the instance looks at series that are there."""
    variables = json.loads(PATH.read_text())["templating"]["list"]
    (query,) = (variable["query"] for variable in variables if variable["name"] == "instance")
    found = re.fullmatch(r"label_values\((.*), instance\)", query)
    assert found
    wait_until(lambda: plant.server.query(found[1]), f"{found[1]} yields data")
    assert {sample.labels["instance"] for sample in plant.server.query(found[1])} == {plant.instance}


def test_rules_look_at_what_is_there(plant: Plant) -> None:
    """Each series that a rule asks for is there while all is well, whatever its value."""
    selectors = {
        selector
        for group in plant.server.rules["groups"]
        for rule in group["rules"]
        for selector in re.findall(r"\b(?:sensor_monitor_\w+|up)\b(?:\{.*?\})?", rule["expr"])
    }
    assert len(selectors) > 10
    for selector in selectors:
        wait_until(lambda: plant.server.query(selector), f"{selector} yields data")  # noqa: B023


def test_rules_are_quiet(plant: Plant) -> None:
    """No rule finds anything while all is well; how fast a loaded machine is isn't asked."""
    up = f'up{{instance="{plant.instance}"}} == 1 and sensor_monitor_alerts_firing'
    wait_until(lambda: plant.server.query(up), "the monitor is scraped")
    wait_until(lambda: plant.server.query("sensor_monitor_predictions_total > 0"), "windows are judged")
    found = {
        rule["alert"]: plant.server.query(rule["expr"])
        for group in plant.server.rules["groups"]
        for rule in group["rules"]
        if rule["alert"] != "SensorMonitorSlow"
    }
    assert {name for name, samples in found.items() if samples} == set()
