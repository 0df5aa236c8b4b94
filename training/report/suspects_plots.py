"""Plot of the suspicious stretches of a recording."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from monitor.bundle import Feature
from monitor.core.quantities import find_neighbours
from training.faults.suspects import SuspiciousStretch
from training.report.figures import BLUE, VERMILION, new_figure, png

__all__ = ["draw_stretches"]

_SHADE = "#999999"
_MAX_DRAWN = 4
# Number of readings drawn before and after a stretch, for comparison.
_CONTEXT_READINGS = 120


def draw_stretches(
    frames: Sequence[pd.DataFrame], stretches: Sequence[SuspiciousStretch], features: Sequence[Feature]
) -> bytes:
    """Draw a panel for each of the first four stretches: all sensors of the quantity, the stretch shaded."""
    drawn = stretches[:_MAX_DRAWN]
    figure = new_figure((10, 2.4 * len(drawn) + 0.4))
    panels = figure.subplots(len(drawn), 1, squeeze=False)[:, 0]
    for axes, stretch in zip(panels, drawn, strict=True):
        _draw_panel(axes, frames, stretch, features)
    return png(figure)


def _draw_panel(
    axes: Axes, frames: Sequence[pd.DataFrame], stretch: SuspiciousStretch, features: Sequence[Feature]
) -> None:
    readings = _select_surrounding_readings(frames, stretch)
    suspects = stretch.feature.split(" or ")
    quantities = [feature.measured_quantity for feature in features]
    first = next(column for column, feature in enumerate(features) if feature.name in suspects)
    shown = [features[column].name for column in sorted([first, *find_neighbours(quantities, first)])]
    minutes = (readings["ts"] - stretch.start_ts) / 60
    axes.axvspan(0, (stretch.end_ts - stretch.start_ts) / 60, color=_SHADE, alpha=0.3, linewidth=0)
    for name in shown:
        colour, style = (VERMILION, "-") if name in suspects else (BLUE, "--")
        axes.plot(minutes, readings[name], style, color=colour, marker=".", markersize=3, label=name)
    axes.set_title(f"{stretch.group}, {stretch.feature}: {stretch.reason}", fontsize=9)
    axes.set(xlabel="minutes from its start", ylabel=features[first].unit)
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize=8)


def _select_surrounding_readings(frames: Sequence[pd.DataFrame], stretch: SuspiciousStretch) -> pd.DataFrame:
    """Return the group's readings from `_CONTEXT_READINGS` before the stretch to as many after it."""
    for frame in frames:
        group_frame = frame[frame["group"] == stretch.group].sort_values("ts", kind="stable")
        rows = np.flatnonzero(group_frame["ts"].between(stretch.start_ts, stretch.end_ts))
        if len(rows):
            return group_frame.iloc[max(0, rows[0] - _CONTEXT_READINGS) : rows[-1] + _CONTEXT_READINGS]
    raise ValueError(f"no frame has readings of {stretch.group} at {stretch.start_ts}")
