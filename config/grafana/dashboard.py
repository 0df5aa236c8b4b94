"""Grafana's dashboard of sensor-monitor; `python -m config.grafana.dashboard` writes its JSON anew."""

import json
from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from config.grafana.panels import (
    BLUE,
    GREEN,
    GREY,
    INSTANCE_MATCHERS,
    RATE,
    RED,
    SOURCE,
    YELLOW,
    Panel,
    heat_map,
    lines,
    quantiles,
    stat_panel,
)

__all__ = ["DASHBOARD_FILE", "to_json"]

DASHBOARD_FILE = Path(__file__).parent / "dashboards" / "sensor-monitor.json"

_P = "sensor_monitor_"
_LATENCY_TARGET = 0.1
"""Seconds; rules.yml has the same in SensorMonitorSlow."""
_BY_INSTANCE = "sum by (instance)"
_FAULTY_SHARE = (
    f'{_BY_INSTANCE} (rate({_P}predictions_total{{{INSTANCE_MATCHERS},label="Faulty"}}[$__rate_interval])) '
    f"/ {_BY_INSTANCE} (rate({_P}predictions_total{RATE}))"
)


def _at_a_glance() -> Iterator[Panel]:
    yield stat_panel(
        "Connection",
        "Whether the monitor answers and has its broker. Down: nothing is judged; see SensorMonitorDown.",
        "none",
        # 0 down, 1 no broker, 2 connected; a target that is down has no other metric than `up`.
        {
            "{{instance}}": f"up{{{INSTANCE_MATCHERS}}} + (up{{{INSTANCE_MATCHERS}}} * {_P}mqtt_connected{{{INSTANCE_MATCHERS}}} or 0 * up{{{INSTANCE_MATCHERS}}})"
        },
        (None, RED),
        words={"0": ("down", RED), "1": ("no broker", RED), "2": ("connected", GREEN)},
    )
    yield stat_panel(
        "Last reading",
        "How long ago a readable reading arrived. Growing: the plant stands still or its gateway does.",
        "s",
        {
            "{{instance}}": (
                f"time() - (({_P}last_reading_timestamp_seconds{{{INSTANCE_MATCHERS}}} > 0) "
                f"or process_start_time_seconds{{{INSTANCE_MATCHERS}}})"
            )
        },
        (None, GREEN),
        (60, YELLOW),
        (300, RED),
    )
    yield stat_panel(
        "Alerts firing",
        "Incidents that are open: groups whose sensors can't be believed now.",
        "none",
        {"{{instance}}": f"{_P}alerts_firing{{{INSTANCE_MATCHERS}}}"},
        (None, GREEN),
        (1, YELLOW),
    )
    yield stat_panel(
        "Faulty share",
        "Faulty windows among those judged in the last hour. Above half, doubt the model before the plant.",
        "percentunit",
        {
            "{{instance}}": (
                f'{_BY_INSTANCE} (rate({_P}predictions_total{{{INSTANCE_MATCHERS},label="Faulty"}}[1h])) '
                f"/ ({_BY_INSTANCE} (rate({_P}predictions_total{{{INSTANCE_MATCHERS}}}[1h])) > 0)"
            )
        },
        (None, GREEN),
        (0.1, YELLOW),
        (0.5, RED),
    )
    yield stat_panel(
        "Silent groups",
        "Groups without a usable reading for windows.stale_after. `state/#` below base_topic says which.",
        "none",
        {"{{instance}}": f'{_P}groups{{{INSTANCE_MATCHERS},state="silent"}}'},
        (None, GREEN),
        (1, YELLOW),
    )
    yield stat_panel(
        "Bundle",
        "The id of the bundle that judges. The same training gives the same id.",
        "none",
        {"{{id}}": f"{_P}bundle_info{{{INSTANCE_MATCHERS}}}"},
        (None, BLUE),
        by_name=True,
    )


def _judging() -> Iterator[Panel]:
    yield lines(
        "Readings",
        "What became of readings. Only `judged` has a verdict.",
        "cps",
        {"{{outcome}}": f"sum by (outcome) (rate({_P}readings_total{RATE}))"},
        colors={"judged": GREEN, "malformed|unmatched|overflow": RED},
        stacked=True,
    )
    yield lines(
        "Predictions",
        "Windows judged, by verdict.",
        "cps",
        {"{{label}}": f"sum by (label) (rate({_P}predictions_total{RATE}))"},
        colors={"Normal": GREEN, "Faulty": RED},
        stacked=True,
    )
    yield lines(
        "Faulty share over time",
        "Faulty windows among those judged. A step for all groups at once: the model, or a common cause.",
        "percentunit",
        {
            "Faulty {{instance}}": _FAULTY_SHARE,
            "out of range {{instance}}": (
                f"{_BY_INSTANCE} (rate({_P}out_of_range_total{RATE})) "
                f"/ {_BY_INSTANCE} (rate({_P}predictions_total{RATE}))"
            ),
        },
        limit=0.5,
        top=1,
    )
    yield lines(
        "Groups by state",
        "How many groups are in each state. A group that fell silent keeps its incident open.",
        "none",
        {"{{state}}": f"sum by (state) ({_P}groups{{{INSTANCE_MATCHERS}}})"},
        colors={"normal": GREEN, "faulty": RED, "silent": YELLOW, "filling|warming": GREY},
        stacked=True,
    )
    yield lines(
        "Alerts",
        "Incidents that are open, and events sent in the last hour.",
        "none",
        {
            "open {{instance}}": f"{_P}alerts_firing{{{INSTANCE_MATCHERS}}}",
            "{{status}} in an hour {{instance}}": (
                f"sum by (instance, status) (increase({_P}alerts_total{{{INSTANCE_MATCHERS}}}[1h]))"
            ),
        },
        colors={"open": RED},
    )
    yield lines(
        "Refused",
        "Readings that were dropped or began a window anew, by reason; the log has an example of each.",
        "cps",
        {
            "{{outcome}}": (
                "sum by (outcome) (rate("
                f'{_P}readings_total{{{INSTANCE_MATCHERS},outcome!~"judged|filling|warming|skipped"}}[$__rate_interval]))'
            )
        },
        stacked=True,
    )


def _speed() -> Iterator[Panel]:
    yield quantiles(
        f"{_P}reading_latency_seconds",
        unit="s",
        title="Latency",
        description="From a reading's arrival to the decision on it. The red line is the target for p99.",
        limit=_LATENCY_TARGET,
    )
    yield heat_map(
        "Latency, all readings",
        "How many readings took how long. A second band above the first: batches that wait for something.",
        "s",
        f"{_P}reading_latency_seconds",
    )
    yield quantiles(
        f"{_P}inference_seconds",
        unit="s",
        title="Time in the model",
        description="How long the model takes for one batch.",
    )
    yield heat_map(
        "Windows in a batch",
        "How many windows are judged at once. Batches grow with the load; 1 is an idle plant.",
        "none",
        f"{_P}batch_windows",
    )


def _house() -> Iterator[Panel]:
    yield lines(
        "Connections and the store",
        "Reconnections, and what failed or was refused, in the last 5 minutes; 0 is right for all.",
        "none",
        {
            "reconnections {{instance}}": f"increase({_P}mqtt_reconnects_total{{{INSTANCE_MATCHERS}}}[5m])",
            "failed writes {{instance}}": f"increase({_P}store_failures_total{{{INSTANCE_MATCHERS}}}[5m])",
            "refused messages {{instance}}": f"increase({_P}messages_refused_total{{{INSTANCE_MATCHERS}}}[5m])",
            "refused reloads {{instance}}": f'increase({_P}reloads_total{{{INSTANCE_MATCHERS},result="refused"}}[5m])',
            "groups set aside {{instance}}": f"increase({_P}groups_set_aside_total{{{INSTANCE_MATCHERS}}}[5m])",
        },
    )
    yield lines(
        "Waiting messages",
        "Messages that arrived and wait to be decoded. At 65,536, QoS 0 drops and QoS 1 waits at the broker.",
        "none",
        {"{{instance}}": f"{_P}queue_readings{{{INSTANCE_MATCHERS}}}"},
        limit=65536,
    )
    yield lines(
        "Memory",
        "Resident memory of the process. It is bounded: steady growth over days is a bug.",
        "bytes",
        {"{{instance}}": f"process_resident_memory_bytes{{{INSTANCE_MATCHERS}}}"},
    )
    yield lines(
        "Processor",
        "Processor time; 100 % is one core, and what the pipeline, being one thread, can't exceed by much.",
        "percentunit",
        {"{{instance}}": f"rate(process_cpu_seconds_total{RATE})"},
    )


def _dashboard() -> build.Dashboard:
    here = 'label_values(up{job="sensor-monitor"}, instance)'
    board = (
        build.Dashboard("sensor-monitor")
        .uid("sensor-monitor")
        .description("Whether the sensors are judged, what the verdicts are, and how long they take.")
        .tags(["sensor-monitor"])
        .readonly()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .time("now-6h", "now")
        .refresh("30s")
        .with_variable(build.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(
            build.QueryVariable("instance")
            .label("Monitor")
            .datasource(SOURCE)
            .query(here)
            .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(model.VariableSort.ALPHABETICAL_ASC)
            .multi(True)  # noqa: FBT003, the library's own
            .include_all(True)  # noqa: FBT003
            .all_value(".*")
            .current(model.VariableOption(selected=True, text="All", value="$__all"))
        )
    )
    number = 0
    for title, panels in (
        ("At a glance", _at_a_glance()),
        ("Judging", _judging()),
        ("Speed", _speed()),
        ("Process", _house()),
    ):
        number += 1
        board.with_row(build.Row(title).id(number))
        for panel in panels:
            number += 1
            board.with_panel(panel.id(number))
    return board


def to_json() -> str:
    """Return the dashboard as JSON, as Grafana imports it."""
    return json.dumps(_dashboard().build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    DASHBOARD_FILE.write_text(to_json())
