"""Pictures of stretches of a recording that look like faults, as PNG."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.data.recordings import FEATURES, NAMES
from training.faults.suspects import Stretch
from training.report.plots import png

__all__ = ["stretches"]

_BLUE, _VERMILION, _GREY = "#0072B2", "#D55E00", "#999999"  # Okabe and Ito's
_MOST_DRAWN = 4
# Readings before and after a stretch, to see what is usual.
_AROUND = 120


def stretches(frames: Sequence[pd.DataFrame], found: Sequence[Stretch]) -> bytes:
    """Draw the first few of these stretches: each pair's readings, the stretch shaded."""
    drawn = found[:_MOST_DRAWN]
    figure = Figure(figsize=(10, 2.4 * len(drawn) + 0.4), layout="constrained")
    panels = figure.subplots(len(drawn), 1, squeeze=False)[:, 0]
    for axes, stretch in zip(panels, drawn, strict=True):
        _panel(axes, frames, stretch)
    return png(figure)


def _panel(axes: Axes, frames: Sequence[pd.DataFrame], stretch: Stretch) -> None:
    own = _around(frames, stretch)
    suspects = [name for name in NAMES if name in stretch.feature]
    quantity = suspects[0].rpartition("_")[0]
    minutes = (own["ts"] - stretch.begin) / 60
    axes.axvspan(0, (stretch.end - stretch.begin) / 60, color=_GREY, alpha=0.3, linewidth=0)
    for name in NAMES:
        if name.rpartition("_")[0] == quantity:
            suspected = name in suspects
            colour, style = (_VERMILION, "-") if suspected else (_BLUE, "--")
            axes.plot(minutes, own[name], style, color=colour, marker=".", markersize=3, label=name)
    unit = next(feature.unit for feature in FEATURES if feature.name in suspects)
    axes.set_title(f"{stretch.group}, {stretch.feature}: {stretch.why}", fontsize=9)
    axes.set(xlabel="minutes since its begin", ylabel=unit)
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize=8)


def _around(frames: Sequence[pd.DataFrame], stretch: Stretch) -> pd.DataFrame:
    """Return the group's readings from some before the stretch to some after it."""
    for frame in frames:
        own = frame[frame["group"] == stretch.group].sort_values("ts", kind="stable")
        inside = np.flatnonzero(own["ts"].between(stretch.begin, stretch.end))
        if len(inside):
            return own.iloc[max(0, inside[0] - _AROUND) : inside[-1] + _AROUND]
    raise ValueError(f"no frame has readings of {stretch.group} at {stretch.begin}")
