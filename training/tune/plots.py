"""Plots of the two studies, as PNG files."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

from training.config.initializers import split_texts
from training.report.figures import BLUE, GREY, VERMILION, new_figure, png
from training.tune.initializers import InitializerResult
from training.tune.trials import NOTEBOOK_PARAMETERS, Trial, select_best

__all__ = ["draw_history", "draw_initializers", "draw_parallel_coordinates"]


def draw_history(trials: Sequence[Trial]) -> bytes:
    """Plot the F1 score of each trial and the best F1 score so far."""
    figure = new_figure((9, 4.6))
    axes = figure.subplots()
    number = np.array([trial.number for trial in trials])
    f1 = np.array([trial.f1 for trial in trials])  # (trial,)
    axes.step(number, np.maximum.accumulate(f1), where="post", color=GREY, label="best so far")
    is_notebook = number <= len(NOTEBOOK_PARAMETERS)
    axes.plot(number[is_notebook], f1[is_notebook], "D", color=VERMILION, label="the notebook's combinations")
    axes.plot(number[~is_notebook], f1[~is_notebook], "o", color=BLUE, label="proposed by the search")
    best = select_best(trials)
    axes.plot(best.number, best.f1, "o", markersize=14, fillstyle="none", color="black", label="best of all")
    axes.set(title="Search: F1 of each trial", xlabel="trial", ylabel="F1 of Faulty, validation part")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=4)
    return png(figure)


def draw_parallel_coordinates(trials: Sequence[Trial]) -> bytes:
    """Draw the trials in parallel coordinates, coloured by F1 score; the best trial has a thick line."""
    names = list(trials[0].parameters)
    table = np.array([[trial.parameters[name] for name in names] for trial in trials])  # (trial, parameter)
    logarithmic = [name == "learning_rate" for name in names]
    table[:, logarithmic] = np.log10(table[:, logarithmic])
    low, high = table.min(axis=0), table.max(axis=0)
    positions = np.where(high > low, (table - low) / np.where(high > low, high - low, 1), 0.5)
    f1 = np.array([trial.f1 for trial in trials])
    # The colour scale begins at the median: otherwise, after one trial with a very low F1 score, all other
    # trials would have almost the same colour.
    norm = Normalize(float(np.median(f1)), float(f1.max()))
    figure = new_figure((11, 5))
    axes = figure.subplots()
    best_row = select_best(trials).number - 1
    for row in np.argsort(f1, kind="stable"):
        colour = mpl.colormaps["cividis"](norm(f1[row]))
        axes.plot(range(len(names)), positions[row], color=colour, linewidth=1.2, alpha=0.9)
    axes.plot(
        range(len(names)),
        positions[best_row],
        color=VERMILION,
        linewidth=3,
        marker="o",
        label=f"best: F1 {f1[best_row]:.4f}",
    )
    for column in range(len(names)):
        axes.axvline(column, color="black", linewidth=0.6)
        for y, bound in ((-0.05, low[column]), (1.05, high[column])):
            text = f"{10**bound:.2g}" if logarithmic[column] else f"{bound:g}"
            if high[column] > low[column] or y < 0:
                axes.text(column, y, text, ha="center", va="center", fontsize=9)
    axes.set_xticks(range(len(names)), [_format_axis_label(name) for name in names])
    axes.set_yticks([])
    axes.set_ylim(-0.12, 1.12)
    axes.set_title("Search: parameters of each trial, from the lowest to the highest tried")
    figure.legend(loc="outside lower center")
    colours = mpl.cm.ScalarMappable(norm=norm, cmap="cividis")
    figure.colorbar(colours, ax=axes, label="F1 of Faulty, validation part", extend="min")
    return png(figure)


def draw_initializers(results: Sequence[InitializerResult], all_faulty_f1: float) -> bytes:
    """Plot the F1 scores by initialiser: each seed, the mean, and the standard deviation as an error bar.

    Parameters
    ----------
    all_faulty_f1 : the F1 score if every window is predicted Faulty.
    """
    figure = new_figure((9.5, 0.55 * len(results) + 1.4))
    axes = figure.subplots()
    rows = range(len(results))
    for row, result in zip(rows, results, strict=True):
        axes.plot(result.f1_scores, [row] * len(result.f1_scores), "|", color=BLUE, markersize=14)
    axes.plot([], [], "|", color=BLUE, markersize=14, label="one seed")
    axes.errorbar(
        [result.mean for result in results],
        rows,
        xerr=[result.std or 0 for result in results],
        fmt="o",
        color=VERMILION,
        capsize=5,
        label="mean and standard deviation",
    )
    axes.axvline(all_faulty_f1, color=GREY, linestyle=":", label="calling every window Faulty")
    axes.set_yticks(rows, [f"{_wrap(result.name)}\n{result.formula}" for result in results], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(-0.02, 1.02)  # an error bar may extend beyond the range of F1
    axes.set(title="F1 by initialiser of the weights", xlabel="F1 of Faulty, validation part")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3)
    return png(figure)


def _wrap(initializer: str) -> str:
    """Break the initialisers of four layers into two lines."""
    parts = split_texts(initializer)
    return initializer if isinstance(parts, str) else f"{', '.join(parts[:2])},\n{', '.join(parts[2:])}"


def _format_axis_label(name: str) -> str:
    return f"{name}\n(log)" if name == "learning_rate" else name
