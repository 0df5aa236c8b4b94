"""Reads the weights of a network, by layer, array and gate."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor import bundle
from monitor.bundle.files import NETWORK_FILE, read_file
from monitor.core.errors import InvalidInputError

__all__ = ["GATES", "LayerWeights", "build_weights_table", "extract_layers", "load_layers", "split_gates"]

GATES = ("input", "forget", "cell", "output")
"""Order of the gates in the weight arrays of a Keras LSTM layer (i, f, c, o in `LSTMCell.call`). "cell" is
the candidate cell state, with activation tanh; the other three are gates, with activation sigmoid."""

Float32Array = NDArray[np.float32]

_ARRAY_NAMES = {"LSTM": ("kernel", "recurrent_kernel", "biases"), "Dense": ("weights", "biases")}


@dataclass(frozen=True, slots=True, eq=False)
class LayerWeights:
    """The weight arrays of one layer."""

    name: str
    layer_type: str
    """Class name of the layer in Keras: "LSTM", "Dense", "Dropout", ..."""
    arrays: Mapping[str, Float32Array]
    """Name -> trained array, in the order of Keras. Dense layer: `weights` (input, unit), `biases` (unit,).
    LSTM: `kernel` (input, 4 * unit), `recurrent_kernel` (unit, 4 * unit), `biases` (4 * unit,). Empty for a
    layer without weights."""


def load_layers(folder: Path) -> tuple[bundle.Manifest, list[LayerWeights]]:
    """Return the manifest of a bundle and the layers of its `model.keras`.

    The call takes seconds, because it imports TensorFlow.

    Raises
    ------
    BundleError : a file of the bundle is missing or damaged.
    InvalidInputError : the bundle has no `model.keras`, or this file belongs to another bundle.
    """
    loaded_bundle = bundle.load(folder)
    path, content = folder / NETWORK_FILE, read_file(folder, NETWORK_FILE)
    if content is None:
        raise InvalidInputError(
            f"{path}: is missing; expected the network as `sensor-training fit` writes it"
        )
    from training.network.backend import keras  # noqa: PLC0415 - after the checks, which are fast
    from training.network.capture_stderr import capture_stderr  # noqa: PLC0415

    with capture_stderr(), TemporaryDirectory() as temporary_folder:
        verified_path = Path(temporary_folder) / NETWORK_FILE  # the content that was verified
        verified_path.write_bytes(content)
        network = keras.models.load_model(verified_path, compile=False)
        found_layers = extract_layers(network)
        arrays = network.get_weights()
    manifest = loaded_bundle.manifest
    identity = bundle.compute_bundle_id(
        arrays,
        loaded_bundle.scaler,
        manifest.features,
        manifest.steps,
        manifest.threshold,
        manifest.baseline,
        manifest.judges,
    )
    if identity != manifest.id:
        raise InvalidInputError(
            f"{path}: is the network of bundle {identity}, expected that of {manifest.id}"
        )
    return manifest, found_layers


def extract_layers(network: Any) -> list[LayerWeights]:
    """Return the weights of all layers of a Keras model, from input to output.

    Of a network that judges by sensor, these are the layers that judge one.
    """
    from training.network.models import get_judge  # noqa: PLC0415 - imports TensorFlow

    return [_extract_layer(layer) for layer in get_judge(network).layers]


def _extract_layer(layer: Any) -> LayerWeights:
    layer_type = type(layer).__name__
    arrays = layer.get_weights()
    named = dict(zip(_ARRAY_NAMES.get(layer_type, ()), arrays, strict=True))
    return LayerWeights(layer.name, layer_type, MappingProxyType(named))


def split_gates(array: Float32Array) -> dict[str, Float32Array]:
    """Split a weight array of an LSTM layer (..., 4 * unit) by gate: gate -> array (..., unit)."""
    return dict(zip(GATES, np.split(array, len(GATES), axis=-1), strict=True))


def build_weights_table(network_layers: Sequence[LayerWeights]) -> list[dict[str, str | int | float]]:
    """Return rows of statistics: one per array (LSTM: per array and gate), and one per untrained layer."""
    return [row for number, layer in enumerate(network_layers) for row in _describe_arrays(number, layer)]


def _describe_arrays(number: int, layer: LayerWeights) -> Iterator[dict[str, str | int | float]]:
    head: dict[str, str | int | float] = {"number": number, "layer": layer.name, "kind": layer.layer_type}
    if not layer.arrays:
        yield {**head, "array": "nothing trained", "gate": "", "shape": "", "numbers": 0}
    for name, array in layer.arrays.items():
        arrays_by_gate = split_gates(array) if layer.layer_type == "LSTM" else {"": array}
        for gate, gate_array in arrays_by_gate.items():
            yield {
                **head,
                "array": name,
                "gate": gate,
                "shape": " x ".join(map(str, gate_array.shape)),
                "numbers": gate_array.size,
                "mean": float(gate_array.mean()),
                "spread": float(gate_array.std()),
                "lowest": float(gate_array.min()),
                "highest": float(gate_array.max()),
            }
