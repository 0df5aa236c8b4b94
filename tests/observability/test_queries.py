import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from config.grafana.dashboard import DASHBOARD_FILE
from tests.conftest import Mosquitto, wait_until
from tests.observability.prometheus_server import Prometheus, expand_variables, running_prometheus
from tests.support.processes import Monitor, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES

REPLAY_SECONDS = 300
"""Of the replay, longer than any test."""
REPLAY_SPEED = 50
"""Readings come 5 s apart: with each group, 10 a second."""


class ScrapedMonitor(NamedTuple):
    """A recording with faults that is replayed to a monitor, which a Prometheus scrapes."""

    server: Prometheus
    instance: str


def panels() -> list[dict[str, object]]:
    """Return the dashboard's panels but for the rows."""
    return [panel for panel in json.loads(DASHBOARD_FILE.read_text())["panels"] if panel["type"] != "row"]


def query_params() -> list[object]:
    """Return title, unit and expression of each query of the dashboard."""
    return [
        pytest.param(panel, target["expr"], id=f"{panel['title']} {target['refId']}")
        for panel in panels()
        for target in panel["targets"]  # type: ignore[attr-defined]
    ]


@pytest.fixture(scope="module")
def scraped_monitor(tmp_path_factory: pytest.TempPathFactory, toy_bundle: Path) -> Iterator[ScrapedMonitor]:
    """A plant where one reading in a hundred is Faulty."""
    folder = tmp_path_factory.mktemp("plant")
    with (folder / "plant.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ts", "group", *NAMES])
        for index in range(REPLAY_SECONDS * REPLAY_SPEED // 5):
            values = FAULTY if index % 100 == 5 else HEALTHY
            writer.writerows([1000 + 5 * index, f"line1/station{station}", *values] for station in (1, 2))
    broker = Mosquitto(folder)
    broker.start()
    monitor = Monitor(folder, toy_bundle, broker.port)
    try:
        with run_monitor(monitor):
            instance = monitor.address.removeprefix("http://")
            replay = subprocess.Popen(
                [sys.executable, "-m", "monitor", "replay", folder / "plant.csv",
                 "--config", folder / "monitor.toml", "--speed", str(REPLAY_SPEED)],
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                with running_prometheus(folder / "prometheus", instance) as server:
                    yield ScrapedMonitor(server, instance)
            finally:
                replay.kill()
                replay.wait()
    finally:
        broker.stop()


@pytest.mark.parametrize(("panel", "expr"), query_params())
def test_dashboard_query(scraped_monitor: ScrapedMonitor, panel: dict[str, object], expr: str) -> None:
    """Each query of the dashboard yields data, in its unit's range, with the labels of its legend."""
    expanded = expand_variables(expr, scraped_monitor.instance)
    wait_until(lambda: scraped_monitor.server.query(expanded), f"{expanded} yields data")
    samples = scraped_monitor.server.query(expanded)
    unit = panel["fieldConfig"]["defaults"]["unit"]  # type: ignore[index]
    max_value = {"percentunit": 1.0 if "cpu" not in expr else 64.0, "s": 60.0}.get(unit, float("inf"))
    assert all(0 <= sample.value <= max_value for sample in samples), samples
    (legend,) = {target["legendFormat"] for target in panel["targets"] if target["expr"] == expr}  # type: ignore[attr-defined]
    legend_labels = set(re.findall(r"\{\{(\w+)\}\}", legend))
    assert all(legend_labels <= sample.labels.keys() for sample in samples), samples
    if unit == "bytes":
        assert all(sample.value > 10e6 for sample in samples), "a process takes more than 10 MB"


def test_instances_to_choose(scraped_monitor: ScrapedMonitor) -> None:
    """The variable for the instance looks at series that are there."""
    variables = json.loads(DASHBOARD_FILE.read_text())["templating"]["list"]
    (query,) = (variable["query"] for variable in variables if variable["name"] == "instance")
    match = re.fullmatch(r"label_values\((.*), instance\)", query)
    assert match
    wait_until(lambda: scraped_monitor.server.query(match[1]), f"{match[1]} yields data")
    assert {sample.labels["instance"] for sample in scraped_monitor.server.query(match[1])} == {
        scraped_monitor.instance
    }


def test_rules_query_existing_series(scraped_monitor: ScrapedMonitor) -> None:
    """Each series that a rule asks for is there while all is well, whatever its value."""
    selectors = {
        selector
        for group in scraped_monitor.server.rules["groups"]
        for rule in group["rules"]
        for selector in re.findall(r"\b(?:sensor_monitor_\w+|up)\b(?:\{.*?\})?", rule["expr"])
    }
    assert len(selectors) > 10
    for selector in selectors:
        wait_until(lambda: scraped_monitor.server.query(selector), f"{selector} yields data")  # noqa: B023


def test_rules_are_quiet(scraped_monitor: ScrapedMonitor) -> None:
    """No rule finds anything while all is well; how fast a loaded machine is isn't asked."""
    up_query = f'up{{instance="{scraped_monitor.instance}"}} == 1 and sensor_monitor_alerts_firing'
    wait_until(lambda: scraped_monitor.server.query(up_query), "the monitor is scraped")
    wait_until(
        lambda: scraped_monitor.server.query("sensor_monitor_predictions_total > 0"), "windows are judged"
    )
    samples_by_rule = {
        rule["alert"]: scraped_monitor.server.query(rule["expr"])
        for group in scraped_monitor.server.rules["groups"]
        for rule in group["rules"]
        if rule["alert"] != "SensorMonitorSlow"
    }
    assert {name for name, samples in samples_by_rule.items() if samples} == set()
