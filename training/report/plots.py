"""Pictures of how training went and of what the model is worth, as PNG.

Drawn on figures of their own, without pyplot and so without a display. Colours are Okabe and Ito's and
cividis, which people who are colour-blind tell apart; what differs in colour differs in line or place too.
"""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from monitor.bundle import Feature
from training.data.cleaning import BoxStats
from training.evaluate.comparison_table import ComparisonTable
from training.evaluate.curves import Calibration
from training.evaluate.incidents import IncidentMetrics
from training.evaluate.quality import Evaluation
from training.evaluate.window_metrics import WindowMetrics
from training.network.history import best_epoch

__all__ = [
    "box_plots",
    "calibration",
    "classifier_f1",
    "confusion_matrix",
    "curves",
    "delays",
    "evaluation_plots",
    "losses",
    "png",
    "recall_by_kind",
]

_DPI = 100
_BLUE, _VERMILION, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
# Of each split: colour, marker, and how far beside the line, so that equal points don't hide each other.
_SPLIT_STYLES = ((_BLUE, "o", -0.12), (_VERMILION, "s", 0.12))
_MAX_DELAY = 10


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG file's bytes, the same for the same figure."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    return file.getvalue()


def evaluation_plots(result: Evaluation) -> dict[str, bytes]:
    """Return all pictures of an evaluation, by file name; without those that its data can't fill."""
    drawn = {
        "confusion.png": confusion_matrix(result.quality),
        "calibration.png": calibration(result.calibration),
    }
    if result.roc and result.precision_recall:
        drawn["curves.png"] = curves(result)
    if result.quality.recall_by_kind:
        drawn["recall.png"] = recall_by_kind(result.quality, result.incidents)
    if result.incidents.delays:
        drawn["delays.png"] = delays(result.incidents)
    return drawn


def losses(history: Mapping[str, Sequence[float]]) -> bytes:
    """Draw the loss of each epoch on the training and the validation part, and the epoch that was kept."""
    train, validation = np.array(history["loss"]), np.array(history["val_loss"])  # (epoch,)
    epochs = np.arange(1, len(train) + 1)
    best = best_epoch(history)
    figure, axes = _panel("Loss of each epoch", (8, 4.2))
    marker = "o" if len(train) == 1 else None
    axes.plot(epochs, train, color=_BLUE, marker=marker, label="training part")
    axes.plot(epochs, validation, color=_VERMILION, linestyle="--", marker=marker, label="validation part")
    axes.plot(best, validation[best - 1], "o", color=_VERMILION, label=f"kept: epoch {best}")
    axes.set(xlabel="epoch", ylabel="binary cross-entropy (log scale)", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return png(figure)


def confusion_matrix(quality: WindowMetrics) -> bytes:
    """Draw the confusion matrix as a heat map: windows, and their share of the row's truth."""
    counts = np.array([[quality.passed, quality.false_alarms], [quality.missed, quality.found]])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = _panel("Confusion matrix, windows", (5.4, 4.4))
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        shade = "white" if shares[row, column] < 0.5 else "black"  # noqa: PLR2004 - the scale's middle
        text = f"{count:,}\n{shares[row, column]:.2%}"
        axes.text(column, row, text, ha="center", va="center", color=shade, fontsize=12)
    names = ["Normal", "Faulty"]
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names)
    axes.set(xlabel="the model says", ylabel="truth")
    figure.colorbar(image, label="share of the row")
    return png(figure)


def curves(result: Evaluation) -> bytes:
    """Draw ROC and precision-recall with their areas, and where the bundle's threshold stands on them."""
    roc, precision_recall, quality = result.roc, result.precision_recall, result.quality
    if roc is None or precision_recall is None:
        raise ValueError("curves need windows of both classes")
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(roc.x, roc.y, color=_BLUE)
    left.plot([0, 1], [0, 1], color=_GREY, linestyle=":", label="a coin")
    left.set(xlabel="share of Normal windows called Faulty", ylabel="share of Faulty windows found (recall)")
    left.set_title(f"ROC, area {roc.area:.4f}")
    right.step(precision_recall.x, precision_recall.y, color=_BLUE, where="pre")
    faulty = quality.found + quality.missed
    faulty_share = faulty / (faulty + quality.passed + quality.false_alarms)
    right.axhline(faulty_share, color=_GREY, linestyle=":", label=f"a coin: {faulty_share:.2f}")
    right.set(xlabel="share of Faulty windows found (recall)", ylabel="share of alarms that are right")
    right.set_title(f"Precision and recall, area {precision_recall.area:.4f}")
    label = f"threshold {result.threshold:g}"
    left.plot([quality.false_share], [quality.recall], "o", color=_VERMILION, label=label)
    if quality.precision is not None:
        right.plot([quality.recall], [quality.precision], "o", color=_VERMILION, label=label)
    for axes in (left, right):
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.grid(alpha=0.3)
        axes.legend(loc="lower left" if axes is right else "lower right")
    return png(figure)


def calibration(result: Calibration) -> bytes:
    """Draw how often windows of a score are Faulty, and how many windows there are of each score."""
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    is_filled = result.window_counts > 0
    above.plot([0, 1], [0, 1], color=_GREY, linestyle=":", label="a score that means what it says")
    above.plot(result.predicted[is_filled], result.observed[is_filled], "o-", color=_BLUE, label="the model")
    above.set(ylabel="share that is Faulty", ylim=(-0.03, 1.03))
    above.set_title(f"Calibration: error {result.error:.4f}, Brier score {result.brier:.4f}")
    above.legend()
    bins = len(result.window_counts)
    below.bar((np.arange(bins) + 0.5) / bins, result.window_counts, width=0.9 / bins, color=_BLUE)
    below.set(xlabel="score", ylabel="windows (log)", yscale="log", ylim=(0.5, None), xlim=(0, 1))
    for axes in (above, below):
        axes.grid(alpha=0.3)
    return png(figure)


def recall_by_kind(quality: WindowMetrics, incidents: IncidentMetrics) -> bytes:
    """Draw for each kind of fault the share of windows and the share of whole faults that was found."""
    kinds = list(quality.recall_by_kind)
    positions = np.arange(len(kinds))
    by_kind = incidents.found_by_kind()
    episode_recall = [by_kind[kind][0] / by_kind[kind][1] for kind in kinds]
    figure, axes = _panel("Found, by kind of fault", (8, 4.2))
    window_recall = list(quality.recall_by_kind.values())
    bars = axes.bar(positions - 0.2, window_recall, width=0.36, color=_BLUE, label="windows")
    axes.bar_label(bars, [f"{share:.3f}" for share in window_recall], fontsize=8)
    bars = axes.bar(
        positions + 0.2, episode_recall, width=0.36, color=_VERMILION, hatch="//", label="whole faults"
    )
    axes.bar_label(bars, ["{}/{}".format(*by_kind[kind]) for kind in kinds], fontsize=8)
    axes.set_xticks(positions, [f"{kind}\n{quality.windows_by_kind[kind]:,} windows" for kind in kinds])
    axes.set(ylabel="share found", ylim=(0, 1.3), yticks=np.linspace(0, 1, 6))
    axes.legend(loc="upper right", ncols=2)
    return png(figure)


def delays(incidents: IncidentMetrics) -> bytes:
    """Draw how many readings passed from a fault's first one to its alert."""
    clipped_delays = np.minimum(incidents.delays, _MAX_DELAY)
    counts = np.bincount(clipped_delays, minlength=_MAX_DELAY + 1)
    figure, axes = _panel("Delay from a fault's first reading to its alert", (8, 3.6))
    axes.bar_label(axes.bar(range(len(counts)), counts, color=_BLUE), [f"{n:,}" if n else "" for n in counts])
    axes.set_xticks(range(len(counts)), [*map(str, range(_MAX_DELAY)), f"{_MAX_DELAY}+"])
    axes.set(xlabel="readings", ylabel="faults with an alert of their own")
    axes.margins(y=0.12)
    return png(figure)


def box_plots(
    before: Sequence[BoxStats], after: Sequence[BoxStats], features: Sequence[Feature], factor: float
) -> bytes:
    """Draw the columns of the training windows before and after the cleaning: (step * feature,) each."""
    figure = Figure(figsize=(10, 6), layout="constrained")
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
    steps = [f"t-{steps_back}" if steps_back else "t" for steps_back in range(len(columns) - 1, -1, -1)]
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
        for step, box in zip(steps, columns, strict=True)
    ]
    dots = {"marker": ".", "markersize": 4, "markeredgecolor": _VERMILION}
    axes.bxp(stats, widths=0.6, flierprops=dots, medianprops={"color": _BLUE, "linewidth": 2})


def classifier_f1(tables: Sequence[ComparisonTable]) -> bytes:
    """Draw the F1 of each classifier on each split."""
    names = [result.name for result in tables[0].results]
    figure, axes = _panel("F1 of Faulty on the test part", (8, 0.5 * len(names) + 1.6))
    for table, (colour, marker, offset) in zip(tables, _SPLIT_STYLES, strict=False):
        f1 = [result.quality.f1 or 0.0 for result in table.results]
        positions = np.arange(len(names)) + offset
        axes.plot(f1, positions, marker, color=colour, markersize=9, label=f"split: {table.split}")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel="F1", xlim=(min(0.5, axes.get_xlim()[0]), 1.01))
    figure.legend(loc="outside lower center", ncols=len(tables))
    return png(figure)


def _panel(title: str, size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    if "matrix" not in title:
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
    return figure, axes
