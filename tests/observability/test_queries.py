import csv
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from config.grafana.dashboard import DASHBOARD_FILE
from tests.conftest import TIMEOUT_S, Mosquitto, wait_until
from tests.observability.prometheus_server import Prometheus, expand_variables, running_prometheus
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES

REPLAY_SECONDS = 300
"""Duration of the replay: longer than any test."""
REPLAY_SPEED = 50
"""Readings are 5 s apart, so each group sends 10 a second."""
SOURCES_TOML = """
[[input.sources]]
topic = "plant/{line}/{station}/reading"
[[input.sources]]
topic = "values/{room}/{feature}"
"""


class ScrapedMonitor(NamedTuple):
    """A monitor that a recording with faults is replayed to, and the Prometheus that scrapes it."""

    server: Prometheus
    instance: str


def panels() -> list[dict[str, object]]:
    """Return the dashboard's panels without the row headers."""
    return [panel for panel in json.loads(DASHBOARD_FILE.read_text())["panels"] if panel["type"] != "row"]


def query_params() -> list[object]:
    """Return the panel and the expression of each query of the dashboard, as test parameters."""
    return [
        pytest.param(panel, target["expr"], id=f"{panel['title']} {target['refId']}")
        for panel in panels()
        for target in panel["targets"]  # type: ignore[attr-defined]
    ]


@pytest.fixture(scope="module")
def scraped_monitor(tmp_path_factory: pytest.TempPathFactory, toy_bundle: Path) -> Iterator[ScrapedMonitor]:
    """A monitor of two groups, in which one reading in a hundred is faulty, and of a room's sensors."""
    folder = tmp_path_factory.mktemp("plant")
    with (folder / "plant.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ts", "group", *NAMES])
        for index in range(REPLAY_SECONDS * REPLAY_SPEED // 5):
            values = FAULTY if index % 100 == 5 else HEALTHY
            writer.writerows([1000 + 5 * index, f"line1/station{station}", *values] for station in (1, 2))
    broker = Mosquitto(folder)
    broker.start()
    monitor = Monitor(folder, toy_bundle, broker.port, SOURCES_TOML)
    try:
        with run_monitor(monitor), connect_client(broker.port) as sensors:
            for name in NAMES:
                sensors.publish(f"values/room1/{name}", {"ts": time.time(), "value": 20.0})
            instance = monitor.address.removeprefix("http://")
            command = [sys.executable, "-m", "monitor", "replay", folder / "plant.csv"]
            # With settings of its own: its readings are for the default of `input.topics`.
            (folder / "replay.toml").write_text(f"[mqtt]\nport = {broker.port}\n")
            options = ["--config", folder / "replay.toml", "--speed", str(REPLAY_SPEED)]
            replay = subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL)
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
    """Each query of the dashboard returns data in the range of its unit and with the labels of its legend."""
    expanded = expand_variables(expr, scraped_monitor.instance)
    wait_until(lambda: scraped_monitor.server.query(expanded), f"{expanded} returns data")
    samples = scraped_monitor.server.query(expanded)
    unit = panel["fieldConfig"]["defaults"]["unit"]  # type: ignore[index]
    max_seconds = TIMEOUT_S + 450.0 if "_age_seconds" in expr else 60.0
    max_value = {"percentunit": 1.0 if "cpu" not in expr else 64.0, "s": max_seconds}.get(unit, float("inf"))
    assert all(0 <= sample.value <= max_value for sample in samples), samples
    (legend,) = {target["legendFormat"] for target in panel["targets"] if target["expr"] == expr}  # type: ignore[attr-defined]
    legend_labels = set(re.findall(r"\{\{(\w+)\}\}", legend))
    assert all(legend_labels <= sample.labels.keys() for sample in samples), samples
    if unit == "bytes":
        assert all(sample.value > 10e6 for sample in samples), "a process uses more than 10 MB"


def test_instance_variable(scraped_monitor: ScrapedMonitor) -> None:
    """The variable for the instance queries a series that exists and offers the monitor's instance."""
    variables = json.loads(DASHBOARD_FILE.read_text())["templating"]["list"]
    (query,) = (variable["query"] for variable in variables if variable["name"] == "instance")
    match = re.fullmatch(r"label_values\((.*), instance\)", query)
    assert match
    wait_until(lambda: scraped_monitor.server.query(match[1]), f"{match[1]} returns data")
    assert {sample.labels["instance"] for sample in scraped_monitor.server.query(match[1])} == {
        scraped_monitor.instance
    }


def test_rules_query_existing_series(scraped_monitor: ScrapedMonitor) -> None:
    """Each series that a rule selects exists while nothing is wrong, whatever its value."""
    selectors = {
        selector
        for group in scraped_monitor.server.rules["groups"]
        for rule in group["rules"]
        for selector in re.findall(r"\b(?:sensor_monitor_\w+|up)\b(?:\{.*?\})?", rule["expr"])
    }
    assert len(selectors) > 10
    for selector in selectors:
        wait_until(lambda: scraped_monitor.server.query(selector), f"{selector} returns data")  # noqa: B023


def test_rules_are_quiet(scraped_monitor: ScrapedMonitor) -> None:
    """No rule matches while nothing is wrong; SensorMonitorSlow isn't checked: the machine may be loaded."""
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
