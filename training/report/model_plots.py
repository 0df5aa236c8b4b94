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
from training.network.weights import GATES, Float32Array, LayerWeights, split_gates
from training.report.plots import png

__all__ = ["importance", "layer_weights", "step_names"]

_BLUE = "#0072B2"  # Okabe and Ito's blue and vermilion


def step_names(steps: int) -> list[str]:
    """Return what the steps of a window are called, oldest first: "t-2", "t-1", "t"."""
    return [f"t-{steps_back}" if steps_back else "t" for steps_back in range(steps - 1, -1, -1)]


def importance(result: Importance, features: Sequence[Feature]) -> bytes:
    """Draw importances: a heat map step x feature, whole features under it, whole steps beside it."""
    names = [feature.name for feature in features]
    steps = step_names(len(result.step_mean))
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 1.2), height_ratios=(1.5, 1))
    heat = figure.add_subplot(grid[0, 0])
    _draw_heat_map(heat, result)
    heat.set_xticks(range(len(names)), names)
    heat.set_yticks(range(len(steps)), steps)
    heat.set_ylabel("step (t: newest)")
    heat.set_title("one value of the window", fontsize=10)
    below = figure.add_subplot(grid[1, 0])
    _draw_bars(below, names, result.feature_mean, result.feature_spread, "whole feature, its steps together")
    right = figure.add_subplot(grid[0, 1], sharey=below)
    _draw_bars(right, steps, result.step_mean, result.step_spread, "whole step, its features together")
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
    figure.suptitle("Permutation importance: what shuffling costs in F1 of Faulty")
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
    axes.figure.colorbar(image, ax=axes, label="drop in F1")


def _draw_bars(axes: Axes, names: Sequence[str], mean: FloatArray, spread: FloatArray, title: str) -> None:
    axes.bar(range(len(names)), mean, yerr=spread, color=_BLUE, capsize=4)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("drop in F1")
    axes.set_title(title, fontsize=10)


def layer_weights(number: int, layer: LayerWeights, input_names: Sequence[str]) -> bytes:
    """Draw a layer's numbers: an LSTM's by gate, a dense one's weights and biases.

    Parameters
    ----------
    number : its place in the network, from 0.
    input_names : what the layer's inputs are called; empty where they are only numbered.
    """
    figure = _lstm_figure(layer, input_names) if layer.kind == "LSTM" else _dense_figure(layer, input_names)
    figure.suptitle(f"Layer {number}: {layer.name} ({layer.kind})")
    return png(figure)


def _lstm_figure(layer: LayerWeights, input_names: Sequence[str]) -> Figure:
    figure = Figure(figsize=(13, 9), layout="constrained")
    rows = figure.subplots(3, len(GATES), sharex=True, sharey="row", height_ratios=(1, 1.6, 0.8))
    for axes, gate in zip(rows[0], GATES, strict=True):
        axes.set_title(f"{gate}{' (candidate)' if gate == 'cell' else ' gate'}")
    _draw_gates(figure, rows[0], layer.arrays["kernel"], "kernel")
    rows[0][0].set_ylabel("from input")
    if input_names:
        rows[0][0].set_yticks(range(len(input_names)), input_names)
    _draw_gates(figure, rows[1], layer.arrays["recurrent_kernel"], "recurrent kernel")
    rows[1][0].set_ylabel("from the unit's last output")
    for axes, part in zip(rows[2], split_gates(layer.arrays["biases"]).values(), strict=True):
        _draw_bias_bars(axes, part)
        axes.set_xlabel("unit")
    rows[2][0].set_ylabel("bias")
    return figure


def _draw_gates(figure: Figure, row: Sequence[Axes], array: Float32Array, label: str) -> None:
    largest = max(float(np.abs(array).max()), 1e-9)
    for axes, part in zip(row, split_gates(array).values(), strict=True):
        image = _draw_weights(axes, part, largest)
    figure.colorbar(image, ax=list(row), label=label, pad=0.01)


def _draw_weights(axes: Axes, weights: Float32Array, largest: float) -> AxesImage:
    # Without smoothing: each number is seen, and not a mixture with its neighbours.
    return axes.imshow(
        weights, aspect="auto", cmap="RdBu_r", vmin=-largest, vmax=largest, interpolation="nearest"
    )


def _dense_figure(layer: LayerWeights, input_names: Sequence[str]) -> Figure:
    weights = layer.arrays["weights"]  # (input, unit)
    figure = Figure(figsize=(9, 7), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    largest = max(float(np.abs(weights).max()), 1e-9)
    image = _draw_weights(above, weights, largest)
    figure.colorbar(image, ax=above, label="weight", pad=0.01)
    above.set_title(f"weights: {weights.shape[0]} inputs x {weights.shape[1]} units", fontsize=10)
    above.set_ylabel("input")
    if input_names:
        above.set_yticks(range(len(input_names)), input_names)
        above.set_ylabel("")
    _draw_bias_bars(below, layer.arrays["biases"])
    below.set_title("biases", fontsize=10)
    below.set_xlabel("unit")
    below.set_ylabel("bias")
    return figure


def _draw_bias_bars(axes: Axes, biases: Float32Array) -> None:
    axes.bar(range(len(biases)), biases, width=1 if len(biases) > 1 else 0.2, color=_BLUE)
    axes.axhline(0, color="black", linewidth=0.8)
