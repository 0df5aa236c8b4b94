"""The Grafana dashboard of sensor-monitor; `python -m config.grafana.dashboard` generates its JSON."""

import json
from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from config.grafana.panels import (
    BLUE,
    DATA_SOURCE,
    GREEN,
    GREY,
    INSTANCE_MATCHERS,
    RATE_SELECTOR,
    RED,
    YELLOW,
    Panel,
    heatmap_panel,
    line_panel,
    quantile_panel,
    stat_panel,
)

__all__ = ["DASHBOARD_FILE", "to_json"]

DASHBOARD_FILE = Path(__file__).parent / "dashboards" / "sensor-monitor.json"

_METRIC_PREFIX = "sensor_monitor_"
_LATENCY_TARGET = 0.1
"""Seconds; the same as in the rule SensorMonitorSlow of rules.yml."""
_BY_INSTANCE = "sum by (instance)"
_FAULTY = 'label="Faulty"'
_REFUSED = 'outcome!~"judged|filling|warming|skipped"'


def _series(metric: str, *matchers: str) -> str:
    """Return the PromQL selector of a monitor's metric for the chosen instances, with further matchers."""
    return f"{_METRIC_PREFIX}{metric}{{{','.join([INSTANCE_MATCHERS, *matchers])}}}"


def _rate(metric: str, *matchers: str, window: str = "$__rate_interval") -> str:
    return f"rate({_series(metric, *matchers)}[{window}])"


def _increase(metric: str, *matchers: str, window: str) -> str:
    return f"increase({_series(metric, *matchers)}[{window}])"


def _overview_panels() -> Iterator[Panel]:
    yield stat_panel(
        "Connection",
        "Whether the monitor answers and has both connections to its broker. Down: nothing is judged.",
        "none",
        # 0 down, 1 no broker, 2 connected; of a target that is down, Prometheus has no metric but `up`.
        {
            "{{instance}}": (
                f"up{{{INSTANCE_MATCHERS}}} + "
                f"(up{{{INSTANCE_MATCHERS}}} * {_series('mqtt_connected')} or 0 * up{{{INSTANCE_MATCHERS}}})"
            )
        },
        (None, RED),
        value_texts={"0": ("down", RED), "1": ("no broker", RED), "2": ("connected", GREEN)},
    )
    yield stat_panel(
        "Last reading",
        "How long ago a readable reading arrived. Growing: the plant stands still or its gateway does.",
        "s",
        {
            "{{instance}}": (
                f"time() - (({_series('last_reading_timestamp_seconds')} > 0) "
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
        {"{{instance}}": _series("alerts_firing")},
        (None, GREEN),
        (1, YELLOW),
    )
    yield stat_panel(
        "Faulty share",
        "Faulty windows among those judged in the last hour. Above half, doubt the model before the plant.",
        "percentunit",
        {
            "{{instance}}": (
                f"{_BY_INSTANCE} ({_rate('predictions_total', _FAULTY, window='1h')}) "
                f"/ ({_BY_INSTANCE} ({_rate('predictions_total', window='1h')}) > 0)"
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
        {"{{instance}}": _series("groups", 'state="silent"')},
        (None, GREEN),
        (1, YELLOW),
    )
    yield stat_panel(
        "Bundle and version",
        "The id of the bundle that judges, and the monitor's version. The same training gives the same id.",
        "none",
        {"{{id}}": _series("bundle_info"), "version {{version}}": _series("build_info")},
        (None, BLUE),
        show_name=True,
    )


def _prediction_panels() -> Iterator[Panel]:
    yield line_panel(
        "Readings",
        "What became of readings. Only `judged` has a verdict.",
        "cps",
        {"{{outcome}}": f"sum by (outcome) ({_rate('readings_total')})"},
        colors={"judged": GREEN, "malformed|unmatched|overflow|excess": RED},
        stacked=True,
    )
    yield line_panel(
        "Predictions",
        "Windows judged, by verdict.",
        "cps",
        {"{{label}}": f"sum by (label) ({_rate('predictions_total')})"},
        colors={"Normal": GREEN, "Faulty": RED},
        stacked=True,
    )
    yield line_panel(
        "Faulty windows by detector",
        "What called windows Faulty: the model, or a check.",
        "cps",
        {"{{detector}}": f"sum by (detector) ({_rate('faulty_windows_total')})"},
        stacked=True,
    )
    yield line_panel(
        "Faulty share over time",
        "Faulty windows among those judged. A step for all groups at once: the model, or a common cause.",
        "percentunit",
        {
            "Faulty {{instance}}": (
                f"{_BY_INSTANCE} ({_rate('predictions_total', _FAULTY)}) "
                f"/ {_BY_INSTANCE} ({_rate('predictions_total')})"
            ),
            "out of range {{instance}}": (
                f"{_BY_INSTANCE} ({_rate('out_of_range_total')}) "
                f"/ {_BY_INSTANCE} ({_rate('predictions_total')})"
            ),
        },
        red_above=0.5,
        max_value=1,
    )
    yield line_panel(
        "Groups by state",
        "How many groups are in each state. A group that fell silent keeps its incident open.",
        "none",
        {"{{state}}": f"sum by (state) ({_series('groups')})"},
        colors={"normal": GREEN, "faulty": RED, "silent": YELLOW, "filling|warming": GREY},
        stacked=True,
    )
    yield line_panel(
        "Alerts",
        "Incidents that are open, and events sent in the last hour.",
        "none",
        {
            "open {{instance}}": _series("alerts_firing"),
            "{{status}} in an hour {{instance}}": (
                f"sum by (instance, status) ({_increase('alerts_total', window='1h')})"
            ),
        },
        colors={"open": RED},
    )
    yield line_panel(
        "Refused",
        "Readings that were dropped or began a window anew, by reason; the log has an example of each.",
        "cps",
        {"{{outcome}}": f"sum by (outcome) ({_rate('readings_total', _REFUSED)})"},
        stacked=True,
    )


def _value_panels() -> Iterator[Panel]:
    yield line_panel(
        "Age of features",
        "How old the newest value of each feature is: in half of the groups, the worst tenth, the worst. "
        "Beyond the maximum a group isn't judged. Only where readings are made of values.",
        "s",
        {
            "{{feature}}, half of the groups": _series("feature_age_seconds", 'quantile="0.5"'),
            "{{feature}}, worst tenth": _series("feature_age_seconds", 'quantile="0.9"'),
            "{{feature}}, worst": _series("feature_age_seconds", 'quantile="1"'),
            "{{feature}}, maximum": _series("feature_max_age_seconds"),
        },
    )
    yield line_panel(
        "Values",
        "What became of values that come by messages of their own. What isn't `accepted` is in no reading.",
        "cps",
        {"{{outcome}}": f"sum by (outcome) ({_rate('values_total')})"},
        colors={"accepted": GREEN, "malformed|overflow|excess": RED},
        stacked=True,
    )


def _latency_panels() -> Iterator[Panel]:
    yield quantile_panel(
        f"{_METRIC_PREFIX}reading_latency_seconds",
        unit="s",
        title="Latency",
        description="From a reading's arrival to the decision on it. The red line is the target for p99.",
        red_above=_LATENCY_TARGET,
    )
    yield heatmap_panel(
        "Latency, all readings",
        "How many readings took how long. A second band above the first: batches that wait for something.",
        "s",
        f"{_METRIC_PREFIX}reading_latency_seconds",
    )
    yield quantile_panel(
        f"{_METRIC_PREFIX}alert_delivery_seconds",
        unit="s",
        title="Delivery of alerts",
        description="From a reading's arrival to the broker's confirmation of the alert that it caused.",
    )
    yield quantile_panel(
        f"{_METRIC_PREFIX}inference_seconds",
        unit="s",
        title="Time in the model",
        description="How long the model takes for one batch.",
    )
    yield heatmap_panel(
        "Windows in a batch",
        "How many windows are judged at once. Batches grow with the load; 1 is an idle plant.",
        "none",
        f"{_METRIC_PREFIX}batch_windows",
    )


def _process_panels() -> Iterator[Panel]:
    yield line_panel(
        "Connections and the store",
        "Reconnections, and what failed or was refused, in the last 5 minutes; 0 is right for all.",
        "none",
        {
            "reconnections {{instance}}": _increase("mqtt_reconnects_total", window="5m"),
            "failed writes {{instance}}": _increase("store_failures_total", window="5m"),
            "taken sessions {{instance}}": _increase("mqtt_session_takeovers_total", window="5m"),
            "lost sessions {{instance}}": _increase("mqtt_sessions_lost_total", window="5m"),
            "unanswerable requests {{instance}}": _increase("requests_unanswerable_total", window="5m"),
            "refused messages {{instance}}": _increase("messages_refused_total", window="5m"),
            "refused reloads {{instance}}": _increase("reloads_total", 'result="refused"', window="5m"),
            "dropped log lines {{instance}}": _increase("log_lines_dropped_total", window="5m"),
            "groups set aside {{instance}}": _increase("groups_set_aside_total", window="5m"),
            "groups forgotten {{instance}}": _increase("groups_forgotten_total", window="5m"),
        },
    )
    yield line_panel(
        "Operators and strangers",
        "Groups whose alerts are muted; and in the last 5 minutes, requests of operators, incidents of muted "
        "groups, and what HTTP refused by reason.",
        "none",
        {
            "muted groups {{instance}}": _series("muted_groups"),
            "muted incidents {{instance}}": _increase("incidents_muted_total", window="5m"),
            "requests {{result}} {{instance}}": _increase("requests_total", window="5m"),
            "HTTP {{reason}} {{instance}}": _increase("http_refused_total", window="5m"),
        },
    )
    yield line_panel(
        "Waiting messages",
        "Messages that arrived and wait to be decoded. At 65,536, QoS 0 drops and QoS 1 waits at the broker.",
        "none",
        {"{{instance}}": _series("queue_readings")},
        red_above=65536,
    )
    yield line_panel(
        "Memory",
        "Resident memory of the process. It is bounded: steady growth over days is a bug.",
        "bytes",
        {"{{instance}}": f"process_resident_memory_bytes{{{INSTANCE_MATCHERS}}}"},
    )
    yield line_panel(
        "Processor",
        "Processor time; 100 % is one core, and what the pipeline, being one thread, can't exceed by much.",
        "percentunit",
        {"{{instance}}": f"rate(process_cpu_seconds_total{RATE_SELECTOR})"},
    )


def _build_dashboard() -> build.Dashboard:
    instance_query = 'label_values(up{job="sensor-monitor"}, instance)'
    dashboard = (
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
            .datasource(DATA_SOURCE)
            .query(instance_query)
            .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(model.VariableSort.ALPHABETICAL_ASC)
            .multi(True)  # noqa: FBT003, the library's own
            .include_all(True)  # noqa: FBT003
            .all_value(".*")
            .current(model.VariableOption(selected=True, text="All", value="$__all"))
        )
    )
    panel_id = 0
    for title, panels in (
        ("At a glance", _overview_panels()),
        ("Judging", _prediction_panels()),
        ("Single values", _value_panels()),
        ("Speed", _latency_panels()),
        ("Process", _process_panels()),
    ):
        panel_id += 1
        dashboard.with_row(build.Row(title).id(panel_id))
        for panel in panels:
            panel_id += 1
            dashboard.with_panel(panel.id(panel_id))
    return dashboard


def to_json() -> str:
    """Return the dashboard as the JSON that Grafana imports."""
    return json.dumps(_build_dashboard().build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    DASHBOARD_FILE.write_text(to_json())
