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
    """Return Grafana's names of the units that fit the values of an expression."""
    if "histogram_quantile" in expr:
        return {"s"}
    if expr.startswith("time()") or "_age_seconds" in expr:
        return {"s"}
    if "process_cpu_seconds_total" in expr or re.search(r"\) / ", expr):
        return {"percentunit"}
    if "_bytes" in expr:
        return {"bytes"}
    if "_bucket" in expr:  # the cells of a heat map
        return {"short"}
    return {"cps"} if "rate(" in expr else {"none"}


def test_up_to_date() -> None:
    """The committed JSON is the output of `python -m config.grafana.dashboard`."""
    assert DASHBOARD_FILE.read_text() == to_json()


def test_can_be_imported() -> None:
    """The dashboard has a title, a uid, and a schema version and panel types that Grafana supports."""
    assert DASHBOARD["title"] == DASHBOARD["uid"] == "sensor-monitor"
    assert 36 <= DASHBOARD["schemaVersion"] <= 42
    assert "id" not in DASHBOARD, "Grafana assigns the id"
    assert {panel["type"] for panel in DASHBOARD["panels"]} == {"row", "stat", "timeseries", "heatmap"}


def test_ids_are_unique() -> None:
    """No two panels share an id or a title."""
    for key in ("id", "title"):
        values = [panel[key] for panel in DASHBOARD["panels"]]
        assert len(set(values)) == len(values)


def test_layout() -> None:
    """No two panels overlap, all are within the 24 columns, and stat panels fill the first row."""
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
    """Each panel has a description of a sentence or two, and uses the selected data source."""
    assert panel["description"].endswith(".")
    assert len(panel["description"]) > 20
    assert panel["datasource"] == {"type": "prometheus", "uid": "$datasource"}


@parametrize_panels
def test_unit_fits(panel: dict[str, Any]) -> None:
    """Each panel's unit is the unit of the values of its queries."""
    unit = panel["fieldConfig"]["defaults"]["unit"]
    for target in panel["targets"]:
        assert unit in expected_units(target["expr"]), target["expr"]
    if panel["type"] == "heatmap":
        seconds = "_seconds" in panel["targets"][0]["expr"]
        assert panel["options"]["yAxis"]["unit"] == ("s" if seconds else "none")


@parametrize_panels
def test_queries_filter_by_instance(panel: dict[str, Any]) -> None:
    """Each query selects only the chosen instances, and is an instant query in stat panels alone."""
    for target in panel["targets"]:
        series = re.findall(r"\b(?:sensor_monitor_|process_|up\b)\w*(\{[^}]*\})?", target["expr"])
        assert series
        assert all(INSTANCE_MATCHERS in matchers for matchers in series), target["expr"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        assert target["instant"] == (panel["type"] == "stat")


@parametrize_panels
def test_thresholds(panel: dict[str, Any]) -> None:
    """Thresholds are in ascending order, and the first has no limit."""
    steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [{"value": None}])
    values = [step["value"] for step in steps]
    assert values[0] is None
    assert values[1:] == sorted(values[1:])
    if panel["type"] == "stat":
        assert {step["color"] for step in steps} <= {"green", "yellow", "red", "blue"}


def test_variables() -> None:
    """One variable selects the data source, the other one or more instances."""
    source, instance = DASHBOARD["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert (instance["name"], instance["type"]) == ("instance", "query")
    assert instance["datasource"]["uid"] == "$datasource"
    assert instance["multi"]
    assert instance["includeAll"]


def red_threshold(title: str) -> float:
    """Return the value above which a panel's background is red."""
    (panel,) = (panel for panel in PANELS if panel["title"] == title)
    threshold: float = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"]
    return threshold


def test_latency_target() -> None:
    """The latency panel turns red at the limit of SensorMonitorSlow, which is a bucket of the histogram."""
    assert f") > {red_threshold('Latency')}\n" in (PROMETHEUS_CONFIG / "rules.yml").read_text()
    name, edge = "sensor_monitor_reading_latency_seconds_bucket", {"le": str(red_threshold("Latency"))}
    assert Metrics(CollectorRegistry(), toy_manifest()).registry.get_sample_value(name, edge) == 0


def test_queue_threshold_is_capacity() -> None:
    """The panel of waiting messages turns red at the capacity of the receive queue."""
    assert red_threshold("Waiting messages") == CAPACITY


def test_rules_name_existing_panels() -> None:
    """Each panel that a rule's description names is on the dashboard."""
    rules = yaml.safe_load((PROMETHEUS_CONFIG / "rules.yml").read_text())["groups"][0]["rules"]
    texts = " ".join(rule["annotations"]["description"] for rule in rules)
    names = set(re.findall(r'"([A-Z][a-z ]+)"', texts))
    assert len(names) > 2
    assert names <= {panel["title"] for panel in PANELS}


def test_provisioning() -> None:
    """The provisioning files give Grafana a Prometheus as data source, and the folder of the dashboard."""
    folder = DASHBOARD_FILE.parents[1] / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["access"], source["isDefault"]) == ("prometheus", "proxy", True)
    scrape = yaml.safe_load((PROMETHEUS_CONFIG / "prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scrape, "Grafana computes $__rate_interval from it"
    (provider,) = yaml.safe_load((folder / "dashboards" / "sensor-monitor.yml").read_text())["providers"]
    assert provider["type"] == "file"
    assert Path(provider["options"]["path"]).is_absolute()
