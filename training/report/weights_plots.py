"""Heat maps of a network's trained weights, in the colour-blind safe colour map RdBu."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from training.network.weights import GATES, Float32Array, LayerWeights, split_gates
from training.report.figures import BLUE, new_figure, png

__all__ = ["draw_layer_weights"]


def draw_layer_weights(number: int, layer: LayerWeights, input_names: Sequence[str]) -> bytes:
    """Draw the trained parameters of a layer: by gate for an LSTM, weights and biases for a dense layer.

    Parameters
    ----------
    number : position of the layer in the network, from 0.
    input_names : names of the layer's inputs; empty if the inputs have no names.
    """
    figure = (
        _draw_lstm_layer(layer, input_names)
        if layer.layer_type == "LSTM"
        else _draw_dense_layer(layer, input_names)
    )
    figure.suptitle(f"Layer {number}: {layer.name} ({layer.layer_type})")
    return png(figure)


def _draw_lstm_layer(layer: LayerWeights, input_names: Sequence[str]) -> Figure:
    figure = new_figure((13, 9))
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
    # interpolation="nearest": each weight is one block of uniform colour, not blended with its neighbours.
    return axes.imshow(
        weights, aspect="auto", cmap="RdBu_r", vmin=-largest, vmax=largest, interpolation="nearest"
    )


def _draw_dense_layer(layer: LayerWeights, input_names: Sequence[str]) -> Figure:
    weights = layer.arrays["weights"]  # (input, unit)
    figure = new_figure((9, 7))
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
    axes.bar(range(len(biases)), biases, width=1 if len(biases) > 1 else 0.2, color=BLUE)
    axes.axhline(0, color="black", linewidth=0.8)
