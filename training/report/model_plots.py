"""Pictures of what the model leans on and of what it has learnt, as PNG.

Colours are cividis and RdBu, which people who are colour-blind tell apart as well.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from monitor.bundle import Feature
from monitor.core.arrays import FloatArray
from training.evaluate.permutation_importance import Importance
from training.network.weights import GATES, Array, Layer, split_gates
from training.report.plots import png

__all__ = ["importance", "layer", "step_names"]

_BLUE = "#0072B2"  # Okabe and Ito's blue and vermilion


def step_names(steps: int) -> list[str]:
    """Return what the steps of a window are called, oldest first: "t-2", "t-1", "t"."""
    return [f"t-{back}" if back else "t" for back in range(steps - 1, -1, -1)]


def importance(found: Importance, features: Sequence[Feature]) -> bytes:
    """Draw importances: a heat map step x feature, whole features under it, whole steps beside it."""
    names = [feature.name for feature in features]
    steps = step_names(len(found.step_mean))
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 1.2), height_ratios=(1.5, 1))
    heat = figure.add_subplot(grid[0, 0])
    _heat_map(heat, found)
    heat.set_xticks(range(len(names)), names)
    heat.set_yticks(range(len(steps)), steps)
    heat.set_ylabel("step (t: newest)")
    heat.set_title("one value of the window", fontsize=10)
    below = figure.add_subplot(grid[1, 0])
    _bars(below, names, found.feature_mean, found.feature_spread, "whole feature, its steps together")
    beside = figure.add_subplot(grid[0, 1], sharey=below)
    _bars(beside, steps, found.step_mean, found.step_spread, "whole step, its features together")
    note = figure.add_subplot(grid[1, 1])
    note.set_axis_off()
    note.text(
        0,
        0.95,
        f"F1 unshuffled: {found.f1:.3f}\nwindows: {found.windows:,}, Faulty: {found.faulty:,}\n"
        f"shuffles each: {found.repeats}, seed {found.seed}\n\n"
        "± and bars' whiskers: standard\ndeviation over the shuffles",
        va="top",
        fontsize=9,
    )
    figure.suptitle("Permutation importance: what shuffling costs in F1 of Faulty")
    return png(figure)


def _heat_map(axes: Axes, found: Importance) -> None:
    low, high = min(float(found.mean.min()), 0.0), max(float(found.mean.max()), 1e-9)
    image = axes.imshow(found.mean, cmap="cividis", vmin=low, vmax=high, aspect="auto")
    for (step, feature), mean in np.ndenumerate(found.mean):
        axes.text(
            feature,
            step,
            f"{mean:.3f}\n±{found.spread[step, feature]:.3f}",
            ha="center",
            va="center",
            fontsize=9,
            color="black" if mean > (low + high) / 2 else "white",
        )
    axes.figure.colorbar(image, ax=axes, label="drop in F1")


def _bars(axes: Axes, names: Sequence[str], mean: FloatArray, spread: FloatArray, title: str) -> None:
    axes.bar(range(len(names)), mean, yerr=spread, color=_BLUE, capsize=4)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("drop in F1")
    axes.set_title(title, fontsize=10)


def layer(number: int, one: Layer, inputs: Sequence[str]) -> bytes:
    """Draw a layer's numbers: an LSTM's by gate, a dense one's weights and biases.

    Parameters
    ----------
    number : its place in the network, from 0.
    inputs : what the layer's inputs are called; empty where they are only numbered.
    """
    figure = _lstm(one, inputs) if one.kind == "LSTM" else _dense(one, inputs)
    figure.suptitle(f"Layer {number}: {one.name} ({one.kind})")
    return png(figure)


def _lstm(one: Layer, inputs: Sequence[str]) -> Figure:
    figure = Figure(figsize=(13, 9), layout="constrained")
    rows = figure.subplots(3, len(GATES), sharex=True, sharey="row", height_ratios=(1, 1.6, 0.8))
    for axes, gate in zip(rows[0], GATES, strict=True):
        axes.set_title(f"{gate}{' (candidate)' if gate == 'cell' else ' gate'}")
    _gates(figure, rows[0], one.arrays["kernel"], "kernel")
    rows[0][0].set_ylabel("from input")
    if inputs:
        rows[0][0].set_yticks(range(len(inputs)), inputs)
    _gates(figure, rows[1], one.arrays["recurrent_kernel"], "recurrent kernel")
    rows[1][0].set_ylabel("from the unit's last output")
    for axes, part in zip(rows[2], split_gates(one.arrays["biases"]).values(), strict=True):
        _bias_bars(axes, part)
        axes.set_xlabel("unit")
    rows[2][0].set_ylabel("bias")
    return figure


def _gates(figure: Figure, row: Sequence[Axes], array: Array, label: str) -> None:
    largest = max(float(np.abs(array).max()), 1e-9)
    for axes, part in zip(row, split_gates(array).values(), strict=True):
        image = _weights(axes, part, largest)
    figure.colorbar(image, ax=list(row), label=label, pad=0.01)


def _weights(axes: Axes, weights: Array, largest: float) -> AxesImage:
    # Without smoothing: each number is seen, and not a mixture with its neighbours.
    return axes.imshow(
        weights, aspect="auto", cmap="RdBu_r", vmin=-largest, vmax=largest, interpolation="nearest"
    )


def _dense(one: Layer, inputs: Sequence[str]) -> Figure:
    weights = one.arrays["weights"]  # (input, unit)
    figure = Figure(figsize=(9, 7), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    largest = max(float(np.abs(weights).max()), 1e-9)
    image = _weights(above, weights, largest)
    figure.colorbar(image, ax=above, label="weight", pad=0.01)
    above.set_title(f"weights: {weights.shape[0]} inputs x {weights.shape[1]} units", fontsize=10)
    above.set_ylabel("input")
    if inputs:
        above.set_yticks(range(len(inputs)), inputs)
        above.set_ylabel("")
    _bias_bars(below, one.arrays["biases"])
    below.set_title("biases", fontsize=10)
    below.set_xlabel("unit")
    below.set_ylabel("bias")
    return figure


def _bias_bars(axes: Axes, biases: Array) -> None:
    axes.bar(range(len(biases)), biases, width=1 if len(biases) > 1 else 0.2, color=_BLUE)
    axes.axhline(0, color="black", linewidth=0.8)
