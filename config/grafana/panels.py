"""The kinds of panels that the dashboard has, and what they have in common."""

from collections.abc import Mapping
from typing import TypeAlias

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

__all__ = [
    "BLUE", "GREEN", "GREY", "INSTANCE_MATCHERS", "RATE", "RED", "SOURCE", "YELLOW", "Panel", "heat_map", "lines",
    "quantiles", "stat_panel",
]  # fmt: skip

Panel: TypeAlias = stat.Panel | timeseries.Panel | heatmap.Panel

SOURCE = options.DataSourceRef(type_val="prometheus", uid="$datasource")
INSTANCE_MATCHERS = 'job="sensor-monitor",instance=~"$instance"'
RATE = f"{{{INSTANCE_MATCHERS}}}[$__rate_interval]"
GREEN, YELLOW, RED, BLUE, GREY = "green", "yellow", "red", "blue", "text"


def _thresholds(*steps: tuple[float | None, str]) -> build.ThresholdsConfig:
    """Return what colour a value has from which limit on; the first has no limit."""
    return (
        build.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=limit, color=color) for limit, color in steps])
    )


def _queries(panel: Panel, queries: Mapping[str, str], *, instant: bool = False) -> None:
    """Give a panel its queries: legend -> expression."""
    for number, (legend, expr) in enumerate(queries.items()):
        query = prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(chr(ord("A") + number))
        if isinstance(panel, heatmap.Panel):
            query = query.format(PromQueryFormat.HEATMAP)
        panel.with_target(query.instant() if instant else query.range())


def stat_panel(
    title: str,
    description: str,
    unit: str,
    query: Mapping[str, str],
    *steps: tuple[float | None, str],
    words: Mapping[str, tuple[str, str]] | None = None,
    by_name: bool = False,
) -> Panel:
    """Return a panel with one large value for each instance.

    Parameters
    ----------
    title, description, unit : as Grafana has them.
    query : legend -> expression.
    steps : from which value on it has which colour; None for the first.
    words : value -> (text, colour) to show instead.
    by_name : show the legend and not the value.
    """
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(SOURCE)
        .span(4)
        .height(4)
        .thresholds(_thresholds(*steps))
        .color_mode(options.BigValueColorMode.BACKGROUND)
        .graph_mode(options.BigValueGraphMode.NONE)
        .text_mode(options.BigValueTextMode.NAME if by_name else options.BigValueTextMode.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    if words:
        results = {
            value: model.ValueMappingResult(text=text, color=color) for value, (text, color) in words.items()
        }
        panel.mappings([model.ValueMap(options=results)])
    _queries(panel, query, instant=True)
    return panel


def lines(
    title: str,
    description: str,
    unit: str,
    queries: Mapping[str, str],
    *,
    colors: Mapping[str, str] | None = None,
    limit: float | None = None,
    stacked: bool = False,
    top: float | None = None,
) -> Panel:
    """Return a panel with lines over time; beyond `red_threshold` the background is red."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(SOURCE)
        .span(12)
        .height(8)
        .min(0)
        .line_width(2)
        .fill_opacity(30 if stacked else 5)
        .show_points(options.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(options.LegendDisplayMode.LIST)
            .placement(options.LegendPlacement.BOTTOM)
            .show_legend(True)  # noqa: FBT003, the library's own
        )
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI))
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    if top is not None:
        panel.max(top)
    if limit is not None:
        panel.thresholds(_thresholds((None, "transparent"), (limit, RED)))
        panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(options.GraphThresholdsStyleMode.LINE_AND_AREA)
        )
    for name, color in (colors or {}).items():
        fixed = {"mode": "fixed", "fixedColor": color}
        panel.override_by_regexp(f"/^{name}/", [model.DynamicConfigValue("color", fixed)])
    _queries(panel, queries)
    return panel


def heat_map(title: str, description: str, unit: str, metric: str) -> Panel:
    """Return a panel that shows how a histogram's observations spread over its buckets."""
    panel = (
        heatmap.Panel()
        .title(title)
        .description(description)
        .unit("short")
        .datasource(SOURCE)
        .span(12)
        .height(8)
        .color(heatmap.HeatmapColorOptions().mode(heat.HeatmapColorMode.SCHEME).scheme("Blues").steps(64))
        .y_axis(heatmap.YAxisConfig().unit(unit))
    )
    _queries(panel, {"{{le}}": f"sum by (le) (increase({metric}_bucket{RATE}))"})
    return panel


def quantiles(metric: str, *, unit: str, title: str, description: str, limit: float | None = None) -> Panel:
    """Return a panel with a histogram's median, 95th and 99th percentile."""
    by_edge = f"sum by (instance, le) (rate({metric}_bucket{RATE}))"
    queries = {
        f"{name} {{{{instance}}}}": f"histogram_quantile({share}, {by_edge})"
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }
    return lines(title, description, unit, queries, limit=limit)
