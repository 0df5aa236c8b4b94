"""The kinds of panels that the dashboard has, and the settings that they share."""

from collections.abc import Mapping
from typing import TypeAlias

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

__all__ = [
    "BLUE",
    "DATA_SOURCE",
    "GREEN",
    "GREY",
    "INSTANCE_MATCHERS",
    "RATE_SELECTOR",
    "RED",
    "YELLOW",
    "Panel",
    "heatmap_panel",
    "line_panel",
    "quantile_panel",
    "stat_panel",
]

Panel: TypeAlias = stat.Panel | timeseries.Panel | heatmap.Panel

DATA_SOURCE = common_models.DataSourceRef(type_val="prometheus", uid="$datasource")
INSTANCE_MATCHERS = 'job="sensor-monitor",instance=~"$instance"'
RATE_SELECTOR = f"{{{INSTANCE_MATCHERS}}}[$__rate_interval]"
GREEN, YELLOW, RED, BLUE, GREY = "green", "yellow", "red", "blue", "text"


def _thresholds(*steps: tuple[float | None, str]) -> build.ThresholdsConfig:
    """Return thresholds from pairs (lower limit, colour); the first has no limit: None."""
    return (
        build.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=limit, color=color) for limit, color in steps])
    )


def _add_queries(panel: Panel, queries: Mapping[str, str], *, instant: bool = False) -> None:
    """Add queries (legend -> expression) to a panel; `instant` for the newest value only."""
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
    *thresholds: tuple[float | None, str],
    value_texts: Mapping[str, tuple[str, str]] | None = None,
    show_name: bool = False,
) -> Panel:
    """Return a panel with one large value for each instance.

    Parameters
    ----------
    title, description, unit : as in Grafana.
    query : legend -> expression.
    thresholds : (lower limit, colour) of the background; the limit of the first is None.
    value_texts : value -> (text, colour) that is shown in place of the value.
    show_name : whether to show the legend in place of the value.
    """
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(DATA_SOURCE)
        .span(4)
        .height(4)
        .thresholds(_thresholds(*thresholds))
        .color_mode(common_models.BigValueColorMode.BACKGROUND)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .text_mode(common_models.BigValueTextMode.NAME if show_name else common_models.BigValueTextMode.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    if value_texts:
        mappings = {
            value: model.ValueMappingResult(text=text, color=color)
            for value, (text, color) in value_texts.items()
        }
        panel.mappings([model.ValueMap(options=mappings)])
    _add_queries(panel, query, instant=True)
    return panel


def line_panel(
    title: str,
    description: str,
    unit: str,
    queries: Mapping[str, str],
    *,
    colors: Mapping[str, str] | None = None,
    red_above: float | None = None,
    stacked: bool = False,
    max_value: float | None = None,
) -> Panel:
    """Return a panel with lines over time.

    Parameters
    ----------
    title, description, unit : as in Grafana.
    queries : legend -> expression.
    colors : beginning of a legend, as a regular expression -> colour of these lines.
    red_above : value above which the background is red; None: nowhere.
    stacked : whether values are stacked.
    max_value : upper end of the axis; None: Grafana chooses it.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(DATA_SOURCE)
        .span(12)
        .height(8)
        .min(0)
        .line_width(2)
        .fill_opacity(30 if stacked else 5)
        .show_points(common_models.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True)  # noqa: FBT003, the library's own
        )
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    if max_value is not None:
        panel.max(max_value)
    if red_above is not None:
        panel.thresholds(_thresholds((None, "transparent"), (red_above, RED)))
        panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode.LINE_AND_AREA)
        )
    for name, color in (colors or {}).items():
        fixed_color = {"mode": "fixed", "fixedColor": color}
        panel.override_by_regexp(f"/^{name}/", [model.DynamicConfigValue("color", fixed_color)])
    _add_queries(panel, queries)
    return panel


def heatmap_panel(title: str, description: str, unit: str, metric: str) -> Panel:
    """Return a heatmap of how many observations of a histogram fell into each bucket over time."""
    panel = (
        heatmap.Panel()
        .title(title)
        .description(description)
        .unit("short")
        .datasource(DATA_SOURCE)
        .span(12)
        .height(8)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_models.HeatmapColorMode.SCHEME)
            .scheme("Blues")
            .steps(64)
        )
        .y_axis(heatmap.YAxisConfig().unit(unit))
    )
    _add_queries(panel, {"{{le}}": f"sum by (le) (increase({metric}_bucket{RATE_SELECTOR}))"})
    return panel


def quantile_panel(
    metric: str, *, unit: str, title: str, description: str, red_above: float | None = None
) -> Panel:
    """Return a line panel with a histogram's median, 95th and 99th percentile for each instance."""
    bucket_rates = f"sum by (instance, le) (rate({metric}_bucket{RATE_SELECTOR}))"
    queries = {
        f"{name} {{{{instance}}}}": f"histogram_quantile({quantile}, {bucket_rates})"
        for name, quantile in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }
    return line_panel(title, description, unit, queries, red_above=red_above)
