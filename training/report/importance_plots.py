"""Plot of permutation importance."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from monitor.bundle import Feature
from monitor.core.arrays import FloatArray
from training.data.step_names import step_names
from training.evaluate.permutation_importance import Importance
from training.report.figures import BLUE, new_figure, png

__all__ = ["draw_importance"]


def draw_importance(result: Importance, features: Sequence[Feature]) -> bytes:
    """Draw a heat map (step, feature) and two bar charts: whole features below, whole steps at the right."""
    names = [feature.name for feature in features]
    steps = step_names(len(result.step_mean))
    # Names of features and numbers of steps need room: more of them make a larger picture.
    figure = new_figure((max(10.5, 3 + 1.75 * len(names)), max(7, 4.6 + 0.8 * len(steps))))
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 1.2), height_ratios=(1.5, 1))
    heat = figure.add_subplot(grid[0, 0])
    _draw_heat_map(heat, result)
    heat.set_xticks(range(len(names)), names)
    heat.set_yticks(range(len(steps)), steps)
    heat.set_ylabel("step (t: newest)")
    heat.set_title("each value of the window", fontsize=10)
    below = figure.add_subplot(grid[1, 0])
    _draw_bars(below, names, result.feature_mean, result.feature_spread, "each feature, its steps together")
    right = figure.add_subplot(grid[0, 1], sharey=below)
    _draw_bars(right, steps, result.step_mean, result.step_spread, "each step")
    note = figure.add_subplot(grid[1, 1])
    note.set_axis_off()
    note.text(
        0,
        0.95,
        f"F1 unshuffled: {result.f1:.3f}\nwindows: {result.windows:,}, Faulty: {result.faulty:,}\n"
        f"shuffles each: {result.repeats}, seed {result.seed}\n\n"
        "± and bars' whiskers: standard\ndeviation over the shuffles",
        va="top",
        fontsize=9,
    )
    figure.suptitle("Permutation importance: drop in F1 of Faulty by shuffling")
    return png(figure)


def _draw_heat_map(axes: Axes, result: Importance) -> None:
    low, high = min(float(result.mean.min()), 0.0), max(float(result.mean.max()), 1e-9)
    image = axes.imshow(result.mean, cmap="cividis", vmin=low, vmax=high, aspect="auto")
    for (step, feature), mean in np.ndenumerate(result.mean):
        axes.text(
            feature,
            step,
            f"{mean:.3f}\n±{result.spread[step, feature]:.3f}",
            ha="center",
            va="center",
            fontsize=9,
            color="black" if mean > (low + high) / 2 else "white",
        )
    axes.figure.colorbar(image, ax=axes)  # the bars beside it say what it is: the labels would touch


def _draw_bars(axes: Axes, names: Sequence[str], mean: FloatArray, spread: FloatArray, title: str) -> None:
    axes.bar(range(len(names)), mean, yerr=spread, color=BLUE, capsize=4)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("drop in F1")
    axes.set_title(title, fontsize=10)
