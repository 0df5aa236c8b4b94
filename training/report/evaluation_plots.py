"""Plots of an evaluation: confusion matrix, curves, calibration, recall by fault kind, detection delays."""

import numpy as np

from training.evaluate.curves import Calibration
from training.evaluate.incidents import IncidentMetrics
from training.evaluate.quality import Evaluation
from training.evaluate.window_metrics import WindowMetrics
from training.report.figures import BLUE, GREY, VERMILION, new_figure, panel, png

__all__ = [
    "draw_calibration",
    "draw_confusion_matrix",
    "draw_curves",
    "draw_delays",
    "draw_evaluation",
    "draw_recall_by_kind",
]

# The last bar of the histogram counts all delays of at least this many readings.
_MAX_DELAY = 10


def draw_evaluation(result: Evaluation) -> dict[str, bytes]:
    """Draw the plots for which the evaluation has data; return file name -> PNG file."""
    drawn = {
        "confusion.png": draw_confusion_matrix(result.quality),
        "calibration.png": draw_calibration(result.calibration),
    }
    if result.roc and result.precision_recall:
        drawn["curves.png"] = draw_curves(result)
    if result.quality.recall_by_kind:
        drawn["recall.png"] = draw_recall_by_kind(result.quality, result.incidents)
    if result.incidents and result.incidents.delays:
        drawn["delays.png"] = draw_delays(result.incidents)
    return drawn


def draw_confusion_matrix(quality: WindowMetrics) -> bytes:
    """Draw the confusion matrix as a heat map; each cell shows the window count and its share of the row."""
    counts = np.array([[quality.passed, quality.false_alarms], [quality.missed, quality.found]])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = panel("Confusion matrix, windows", (5.4, 4.4), grid=False)
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        shade = "white" if shares[row, column] < 0.5 else "black"  # noqa: PLR2004 - the scale's middle
        text = f"{count:,}\n{shares[row, column]:.2%}"
        axes.text(column, row, text, ha="center", va="center", color=shade, fontsize=12)
    names = ["Normal", "Faulty"]
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names)
    axes.set(xlabel="prediction", ylabel="truth")
    figure.colorbar(image, label="share of the row")
    return png(figure)


def draw_curves(result: Evaluation) -> bytes:
    """Draw the ROC curve and the precision-recall curve, and mark the bundle's threshold on both."""
    roc, precision_recall, quality = result.roc, result.precision_recall, result.quality
    if roc is None or precision_recall is None:
        raise ValueError("curves need windows of both classes")
    figure = new_figure((10, 4.6))
    left, right = figure.subplots(1, 2)
    left.plot(roc.x, roc.y, color=BLUE)
    left.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="random guessing")
    left.set(xlabel="share of Normal windows called Faulty", ylabel="share of Faulty windows found (recall)")
    left.set_title(f"ROC, area {roc.area:.4f}")
    right.step(precision_recall.x, precision_recall.y, color=BLUE, where="pre")
    faulty = quality.found + quality.missed
    faulty_share = faulty / (faulty + quality.passed + quality.false_alarms)
    right.axhline(faulty_share, color=GREY, linestyle=":", label=f"random guessing: {faulty_share:.2f}")
    right.set(
        xlabel="share of Faulty windows found (recall)",
        ylabel="share of Faulty calls that are right (precision)",
    )
    right.set_title(f"Precision and recall, area {precision_recall.area:.4f}")
    label = f"threshold {result.threshold:g}"
    left.plot([quality.false_share], [quality.recall], "o", color=VERMILION, label=label)
    if quality.precision is not None:
        right.plot([quality.recall], [quality.precision], "o", color=VERMILION, label=label)
    for axes in (left, right):
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.grid(alpha=0.3)
        axes.legend(loc="lower left" if axes is right else "lower right")
    return png(figure)


def draw_calibration(result: Calibration) -> bytes:
    """Draw the calibration curve, and below it a histogram of the scores."""
    figure = new_figure((6.4, 5.6))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    is_filled = result.window_counts > 0
    above.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfect calibration")
    above.plot(result.predicted[is_filled], result.observed[is_filled], "o-", color=BLUE, label="the model")
    above.set(ylabel="share that is Faulty", ylim=(-0.03, 1.03))
    above.set_title(f"Calibration: error {result.error:.4f}, Brier score {result.brier:.4f}")
    above.legend()
    bins = len(result.window_counts)
    below.bar((np.arange(bins) + 0.5) / bins, result.window_counts, width=0.9 / bins, color=BLUE)
    below.set(xlabel="score", ylabel="windows (log)", yscale="log", ylim=(0.5, None), xlim=(0, 1))
    for axes in (above, below):
        axes.grid(alpha=0.3)
    return png(figure)


def draw_recall_by_kind(quality: WindowMetrics, incidents: IncidentMetrics | None) -> bytes:
    """Draw, for each fault kind, the recall of windows and, if known, the share of detected episodes."""
    kinds = list(quality.recall_by_kind)
    positions = np.arange(len(kinds))
    figure, axes = panel("Found, by kind of fault", (max(8, 1.25 * len(kinds)), 4.4))
    window_recall = list(quality.recall_by_kind.values())
    shift = 0.2 if incidents else 0.0
    bars = axes.bar(positions - shift, window_recall, width=0.36, color=BLUE, label="windows")
    axes.bar_label(bars, [f"{share:.3f}" for share in window_recall], fontsize=8)
    if incidents:
        by_kind = incidents.detected_by_kind()
        episode_recall = [by_kind[kind][0] / by_kind[kind][1] for kind in kinds]
        bars = axes.bar(
            positions + shift, episode_recall, width=0.36, color=VERMILION, hatch="//", label="whole faults"
        )
        axes.bar_label(bars, ["{}\nof {}".format(*by_kind[kind]) for kind in kinds], fontsize=8)
    axes.set_xticks(positions, [f"{kind}\n{quality.windows_by_kind[kind]:,}" for kind in kinds])
    axes.set(
        xlabel="kind of fault, and windows whose last reading has it",
        ylabel="share found",
        ylim=(0, 1.35),
        yticks=np.linspace(0, 1, 6),
    )
    axes.legend(loc="upper right", ncols=2)
    return png(figure)


def draw_delays(incidents: IncidentMetrics) -> bytes:
    """Draw a histogram of the detection delays, in readings."""
    clipped_delays = np.minimum(incidents.delays, _MAX_DELAY)
    counts = np.bincount(clipped_delays, minlength=_MAX_DELAY + 1)
    figure, axes = panel("Delay from a fault's first reading to its alert", (8, 3.6))
    axes.bar_label(axes.bar(range(len(counts)), counts, color=BLUE), [f"{n:,}" if n else "" for n in counts])
    axes.set_xticks(range(len(counts)), [*map(str, range(_MAX_DELAY)), f"{_MAX_DELAY}+"])
    axes.set(xlabel="readings", ylabel="number of faults")
    axes.margins(y=0.12)
    return png(figure)
