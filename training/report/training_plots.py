"""Plots of a training: loss by epoch, and box plots before and after the cleaning."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from monitor.bundle import Feature
from training.data.cleaning import BoxStats
from training.data.step_names import step_names
from training.network.history import find_best_epoch
from training.report.figures import BLUE, VERMILION, new_figure, panel, png

__all__ = ["draw_box_plots", "draw_losses"]


def draw_losses(history: Mapping[str, Sequence[float]]) -> bytes:
    """Plot the training and validation loss by epoch, and mark the epoch whose weights were kept.

    Parameters
    ----------
    history : `loss` and `val_loss` of each epoch: (epoch,).
    """
    train, validation = np.array(history["loss"]), np.array(history["val_loss"])  # (epoch,)
    epochs = np.arange(1, len(train) + 1)
    best = find_best_epoch(history)
    figure, axes = panel("Loss of each epoch", (8, 4.2))
    marker = "o" if len(train) == 1 else None
    axes.plot(epochs, train, color=BLUE, marker=marker, label="training part")
    axes.plot(epochs, validation, color=VERMILION, linestyle="--", marker=marker, label="validation part")
    axes.plot(best, validation[best - 1], "o", color=VERMILION, label=f"kept: epoch {best}")
    axes.set(xlabel="epoch", ylabel="binary cross-entropy (log scale)", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter("{x:g}")
    is_within_decade = np.log10(axes.get_ylim()[1] / axes.get_ylim()[0]) < 1
    axes.yaxis.set_minor_formatter(FuncFormatter(_format_minor_tick) if is_within_decade else NullFormatter())
    axes.legend()
    return png(figure)


def _format_minor_tick(value: float, _position: int) -> str:
    """Return the label of a tick between two powers of ten: 0.2, 0.3, 0.4, 0.6; the others would be close."""
    text = f"{value:g}"
    return text if text.strip("0.") in {"2", "3", "4", "6"} else ""


def draw_box_plots(
    before: Sequence[BoxStats], after: Sequence[BoxStats], features: Sequence[Feature], factor: float
) -> bytes:
    """Draw box plots of each feature and step of the window, before and after the cleaning.

    Parameters
    ----------
    before, after : statistics of each column of the flattened training windows: (step * feature,).
    factor : maximum length of the whiskers, in interquartile ranges.
    """
    figure = new_figure((max(10, 2.6 * len(features)), 6))
    grid = figure.subplots(2, len(features), sharey="col", squeeze=False)
    for row, (title_suffix, columns) in zip(grid, (("before", before), ("after", after)), strict=True):
        for number, (axes, feature) in enumerate(zip(row, features, strict=True)):
            feature_columns = columns[number :: len(features)]  # this feature at each step
            _draw_boxes(axes, feature_columns)
            axes.set_title(f"{feature.name}, {title_suffix}", fontsize=9)
            axes.set_ylabel(feature.unit)
            axes.grid(axis="y", alpha=0.3)
    figure.suptitle(
        f"Values by step of the window, t is the newest (whiskers: {factor:g} interquartile ranges)"
    )
    return png(figure)


def _draw_boxes(axes: Axes, columns: Sequence[BoxStats]) -> None:
    stats = [
        {
            "label": step,
            "whislo": box.whisker_low,
            "q1": box.q1,
            "med": box.median,
            "q3": box.q3,
            "whishi": box.whisker_high,
            "fliers": box.outliers,
        }
        for step, box in zip(step_names(len(columns)), columns, strict=True)
    ]
    dots = {"marker": ".", "markersize": 4, "markeredgecolor": VERMILION}
    axes.bxp(stats, widths=0.6, flierprops=dots, medianprops={"color": BLUE, "linewidth": 2})
