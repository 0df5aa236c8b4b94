"""A look into the network: each layer's numbers, with what they are."""

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
"""The order in which Keras keeps an LSTM's gates side by side: `LSTMCell.call` splits its sums into i, f, c,
o. "cell" is the candidate for the cell's new content, with tanh; the other three are gates, with sigmoid."""

Float32Array = NDArray[np.float32]

_ARRAY_NAMES = {"LSTM": ("kernel", "recurrent_kernel", "biases"), "Dense": ("weights", "biases")}


@dataclass(frozen=True, slots=True, eq=False)
class LayerWeights:
    """One layer of the network."""

    name: str
    kind: str
    """The layer's class in Keras: "LSTM", "Dense", "Dropout", ..."""
    arrays: Mapping[str, Float32Array]
    """Its trained numbers, in Keras's order. Of a dense layer `weights` (input, unit) and `biases` (unit,);
    of an LSTM `kernel` (input, 4 units), `recurrent_kernel` (unit, 4 units) and `biases` (4 units,). Empty
    where nothing is trained."""


def load_layers(folder: Path) -> tuple[bundle.Manifest, list[LayerWeights]]:
    """Return a bundle's manifest and the layers of its `model.keras`. TensorFlow takes some seconds.

    Raises
    ------
    BundleError : the bundle can't be trusted.
    InvalidInputError : it has no `model.keras`, or one whose numbers aren't those the bundle was made with.
    """
    loaded_bundle = bundle.load(folder)
    path = folder / "model.keras"
    if not path.is_file():
        raise InvalidInputError(
            f"{path}: is missing; expected the network as `sensor-training fit` writes it"
        )
    from training.network.backend import keras  # noqa: PLC0415 - what is wrong with the folder is told at once
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
    """Split an LSTM's kernel, recurrent kernel or biases (..., 4 units) by gate: each (..., unit)."""
    return dict(zip(GATES, np.split(array, len(GATES), axis=-1), strict=True))


def weights_table(network_layers: Sequence[LayerWeights]) -> list[dict[str, str | int | float]]:
    """Return a row for each array, an LSTM's gates apart, and one for each layer that has none."""
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
