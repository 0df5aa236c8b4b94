"""The weights of a network by layer, array and gate."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor import bundle
from monitor.core.errors import InvalidInputError

__all__ = ["GATES", "LayerWeights", "extract_layers", "load_layers", "split_gates", "weights_table"]

GATES = ("input", "forget", "cell", "output")
"""The order of an LSTM's gates in Keras's arrays: `LSTMCell.call` splits its sums into i, f, c, o. "cell" is
the candidate for the new cell state, with tanh as its activation; the other three are gates, with sigmoid."""

Float32Array = NDArray[np.float32]

_ARRAY_NAMES = {"LSTM": ("kernel", "recurrent_kernel", "biases"), "Dense": ("weights", "biases")}


@dataclass(frozen=True, slots=True, eq=False)
class LayerWeights:
    """One layer of the network."""

    name: str
    kind: str
    """The layer's class in Keras: "LSTM", "Dense", "Dropout", ..."""
    arrays: Mapping[str, Float32Array]
    """Its trained arrays, in Keras's order. Dense layer: `weights` (input, unit), `biases` (unit,). LSTM:
    `kernel` (input, 4 * unit), `recurrent_kernel` (unit, 4 * unit), `biases` (4 * unit,). Empty for a layer
    without weights."""


def load_layers(folder: Path) -> tuple[bundle.Manifest, list[LayerWeights]]:
    """Return a bundle's manifest and the layers of its `model.keras`. The import of TensorFlow takes seconds.

    Raises
    ------
    BundleError : a file of the bundle is missing or damaged.
    InvalidInputError : the bundle has no `model.keras`, or the weights in it are not the bundle's.
    """
    loaded_bundle = bundle.load(folder)
    path = folder / "model.keras"
    if not path.is_file():
        raise InvalidInputError(
            f"{path}: is missing; expected the network as `sensor-training fit` writes it"
        )
    from training.network.backend import keras  # noqa: PLC0415 - after the checks, which are fast
    from training.network.suppress_stderr import suppress_stderr  # noqa: PLC0415

    with suppress_stderr():
        network = keras.models.load_model(path, compile=False)
        found_layers = extract_layers(network)
        arrays = network.get_weights()
    manifest = loaded_bundle.manifest
    identity = bundle.compute_bundle_id(
        arrays, loaded_bundle.scaler, manifest.features, manifest.steps, manifest.threshold, manifest.baseline
    )
    if identity != manifest.id:
        raise InvalidInputError(
            f"{path}: is the network of bundle {identity}, expected that of {manifest.id}"
        )
    return manifest, found_layers


def extract_layers(network: Any) -> list[LayerWeights]:
    """Return the layers of a Keras model, from the window to the score."""
    return [_extract_layer(layer) for layer in network.layers]


def _extract_layer(layer: Any) -> LayerWeights:
    kind = type(layer).__name__
    arrays = layer.get_weights()
    named = dict(zip(_ARRAY_NAMES.get(kind, ()), arrays, strict=True))
    return LayerWeights(layer.name, kind, MappingProxyType(named))


def split_gates(array: Float32Array) -> dict[str, Float32Array]:
    """Split an LSTM's kernel, recurrent kernel or biases (..., 4 * unit) by gate: each (..., unit)."""
    return dict(zip(GATES, np.split(array, len(GATES), axis=-1), strict=True))


def weights_table(network_layers: Sequence[LayerWeights]) -> list[dict[str, str | int | float]]:
    """Return a row of statistics for each array, or gate of an LSTM, and each layer without arrays."""
    return [row for number, layer in enumerate(network_layers) for row in _rows(number, layer)]


def _rows(number: int, layer: LayerWeights) -> Iterator[dict[str, str | int | float]]:
    head: dict[str, str | int | float] = {"number": number, "layer": layer.name, "kind": layer.kind}
    if not layer.arrays:
        yield {**head, "array": "nothing trained", "gate": "", "shape": "", "numbers": 0}
    for name, array in layer.arrays.items():
        split = split_gates(array) if layer.kind == "LSTM" else {"": array}
        for gate, part in split.items():
            yield {
                **head,
                "array": name,
                "gate": gate,
                "shape": " x ".join(map(str, part.shape)),
                "numbers": part.size,
                "mean": float(part.mean()),
                "spread": float(part.std()),
                "lowest": float(part.min()),
                "highest": float(part.max()),
            }
