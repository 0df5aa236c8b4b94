import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from config.grafana.dashboard import DASHBOARD_FILE, to_json
from config.grafana.panels import INSTANCE_MATCHERS
from monitor.mqtt.receive_queue import CAPACITY
from monitor.telemetry.metrics import Metrics
from tests.observability.prometheus_server import PROMETHEUS_CONFIG
from tests.support.toy_bundle import toy_manifest

DASHBOARD: dict[str, Any] = json.loads(DASHBOARD_FILE.read_text())
ROWS = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
parametrize_panels = pytest.mark.parametrize(
    "panel", [pytest.param(panel, id=panel["title"]) for panel in PANELS]
)


def expected_units(expr: str) -> set[str]:
    """Return the units that fit what an expression yields, in Grafana's words."""
    if "histogram_quantile" in expr:
        return {"s"}
    if expr.startswith("time()"):
        return {"s"}
    if "process_cpu_seconds_total" in expr or re.search(r"\) / ", expr):
        return {"percentunit"}
    if "_bytes" in expr:
        return {"bytes"}
    if "_bucket" in expr:  # the cells of a heat map
        return {"short"}
    return {"cps"} if "rate(" in expr else {"none"}


def test_up_to_date() -> None:
    """The committed JSON is what `python -m config.grafana.dashboard` writes."""
    assert DASHBOARD_FILE.read_text() == to_json()


def test_can_be_imported() -> None:
    """It has what Grafana asks of a dashboard: a name, an id of its own choice, a schema that it knows."""
    assert DASHBOARD["title"] == DASHBOARD["uid"] == "sensor-monitor"
    assert 36 <= DASHBOARD["schemaVersion"] <= 42
    assert "id" not in DASHBOARD, "Grafana gives the number"
    assert {panel["type"] for panel in DASHBOARD["panels"]} == {"row", "stat", "timeseries", "heatmap"}


def test_ids_are_unique() -> None:
    """No two panels share an id or a title."""
    for key in ("id", "title"):
        values = [panel[key] for panel in DASHBOARD["panels"]]
        assert len(set(values)) == len(values)


def test_layout() -> None:
    """No two panels overlap, none leaves the grid of 24 columns, and the first row is one of large values."""
    positions = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    for position in positions:
        assert 0 <= position["x"] < position["x"] + position["w"] <= 24
        assert position["h"] > 0
    for first, second in combinations(positions, 2):
        is_beside = first["x"] + first["w"] <= second["x"] or second["x"] + second["w"] <= first["x"]
        is_above = first["y"] + first["h"] <= second["y"] or second["y"] + second["h"] <= first["y"]
        assert is_beside or is_above, (first, second)
    top_panels = [panel for panel in PANELS if panel["gridPos"]["y"] == 1]
    assert {panel["type"] for panel in top_panels} == {"stat"}
    assert sum(panel["gridPos"]["w"] for panel in top_panels) == 24


@parametrize_panels
def test_panel_is_explained(panel: dict[str, Any]) -> None:
    """Each panel says in a sentence or two what it shows, and takes the data source that was chosen."""
    assert panel["description"].endswith(".")
    assert len(panel["description"]) > 20
    assert panel["datasource"] == {"type": "prometheus", "uid": "$datasource"}


@parametrize_panels
def test_unit_fits(panel: dict[str, Any]) -> None:
    """Each panel's unit is that of what its queries yield."""
    unit = panel["fieldConfig"]["defaults"]["unit"]
    for target in panel["targets"]:
        assert unit in expected_units(target["expr"]), target["expr"]
    if panel["type"] == "heatmap":
        seconds = "_seconds" in panel["targets"][0]["expr"]
        assert panel["options"]["yAxis"]["unit"] == ("s" if seconds else "none")


@parametrize_panels
def test_queries_filter_by_instance(panel: dict[str, Any]) -> None:
    """Each query looks at the chosen instance only, once for a single value and over time for lines."""
    for target in panel["targets"]:
        series = re.findall(r"\b(?:sensor_monitor_|process_|up\b)\w*(\{[^}]*\})?", target["expr"])
        assert series
        assert all(INSTANCE_MATCHERS in matchers for matchers in series), target["expr"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        assert target["instant"] == (panel["type"] == "stat")


@parametrize_panels
def test_thresholds(panel: dict[str, Any]) -> None:
    """Limits of colours rise, from one that has none."""
    steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [{"value": None}])
    values = [step["value"] for step in steps]
    assert values[0] is None
    assert values[1:] == sorted(values[1:])
    if panel["type"] == "stat":
        assert {step["color"] for step in steps} <= {"green", "yellow", "red", "blue"}


def test_variables() -> None:
    """One variable chooses the data source, another one the instance, or several."""
    source, instance = DASHBOARD["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert (instance["name"], instance["type"]) == ("instance", "query")
    assert instance["datasource"]["uid"] == "$datasource"
    assert instance["multi"]
    assert instance["includeAll"]


def red_threshold(title: str) -> float:
    """Return where a panel's background turns red."""
    (panel,) = (panel for panel in PANELS if panel["title"] == title)
    threshold: float = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"]
    return threshold


def test_latency_target() -> None:
    """The latency's red line is where SensorMonitorSlow begins, and an edge of the histogram."""
    assert f") > {red_threshold('Latency')}\n" in (PROMETHEUS_CONFIG / "rules.yml").read_text()
    name, edge = "sensor_monitor_reading_latency_seconds_bucket", {"le": str(red_threshold("Latency"))}
    assert Metrics(CollectorRegistry(), toy_manifest()).registry.get_sample_value(name, edge) == 0


def test_queue_threshold_is_capacity() -> None:
    """The red line of what waits is where there is no more room."""
    assert red_threshold("Waiting messages") == CAPACITY


def test_rules_name_panels_that_are_there() -> None:
    """A panel that a rule sends somebody to is on the dashboard."""
    rules = yaml.safe_load((PROMETHEUS_CONFIG / "rules.yml").read_text())["groups"][0]["rules"]
    texts = " ".join(rule["annotations"]["description"] for rule in rules)
    names = set(re.findall(r'"([A-Z][a-z ]+)"', texts))
    assert len(names) > 2
    assert names <= {panel["title"] for panel in PANELS}


def test_provisioning() -> None:
    """Grafana is given a Prometheus, and the folder in which the dashboard is."""
    folder = DASHBOARD_FILE.parents[1] / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["access"], source["isDefault"]) == ("prometheus", "proxy", True)
    scrape = yaml.safe_load((PROMETHEUS_CONFIG / "prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scrape, "Grafana reckons $__rate_interval from it"
    (provider,) = yaml.safe_load((folder / "dashboards" / "sensor-monitor.yml").read_text())["providers"]
    assert provider["type"] == "file"
    assert Path(provider["options"]["path"]).is_absolute()
