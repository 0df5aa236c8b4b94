from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from monitor import bundle
from tests.support import requires_tensorflow  # noqa: F401 - skips this module without it
from tests.support.toy_bundle import NAMES, STEPS
from training.cli.main import main
from training.network import weights
from training.network.backend import keras
from training.network.capture_stderr import capture_stderr

UNITS = 5


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-values))


def _last_output(
    window: NDArray[np.float64], arrays: list[NDArray[np.float32]], order: tuple[str, ...]
) -> object:
    """Compute an LSTM's last output (unit,) for a window (step, feature), its gates in the given order."""
    kernel, recurrent, biases = [
        dict(zip(order, weights.split_gates(array).values(), strict=True)) for array in arrays
    ]
    hidden, cell = np.zeros(UNITS), np.zeros(UNITS)
    for reading in window:
        gates = {gate: reading @ kernel[gate] + hidden @ recurrent[gate] + biases[gate] for gate in order}
        kept = _sigmoid(gates["forget"]) * cell
        cell = kept + _sigmoid(gates["input"]) * np.tanh(gates["cell"])
        hidden = _sigmoid(gates["output"]) * np.tanh(cell)
    return hidden


def test_the_gates_are_in_keras_order() -> None:
    """The LSTM equations give Keras's output with this order of gates, and another with the notebook's."""
    rng = np.random.default_rng(0)
    arrays = [
        rng.normal(size=shape).astype(np.float32)
        for shape in ((4, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,))
    ]
    window = rng.normal(size=(3, 4))
    with capture_stderr():
        network = keras.Sequential([keras.Input((3, 4)), keras.layers.LSTM(UNITS)])
        network.set_weights(arrays)
        expected = network(window[None]).numpy()[0]  # (unit,)
    np.testing.assert_allclose(_last_output(window, arrays, weights.GATES), expected, atol=1e-6)
    notebook_order = ("input", "forget", "output", "cell")
    assert not np.allclose(_last_output(window, arrays, notebook_order), expected, atol=1e-2)


def test_a_new_lstm_forgets_nothing() -> None:
    """Keras initialises the biases of the forget gate with 1, all others with 0: so the split finds them."""
    with capture_stderr():
        network = keras.Sequential([keras.Input((3, 4)), keras.layers.LSTM(UNITS)])
        (layer,) = weights.extract_layers(network)
    biases = {gate: set(part.tolist()) for gate, part in weights.split_gates(layer.arrays["biases"]).items()}
    assert biases == {"input": {0}, "forget": {1}, "cell": {0}, "output": {0}}


def test_every_layer_and_number_is_in_the_table(bundle_folder: Path, tmp_path: Path) -> None:
    """`inspect` writes a row for each array and gate, one for layers without, and counts all numbers."""
    main(["inspect", "--bundle", str(bundle_folder), "--out", str(tmp_path / "look")])
    table = pd.read_csv(tmp_path / "look" / "weights.csv", keep_default_na=False)
    assert set(table["kind"]) == {"LSTM", "Dropout", "Dense"}
    lstm = table[table["layer"] == table["layer"].iloc[0]]
    assert lstm["gate"].tolist() == list(weights.GATES) * 3
    assert lstm["shape"].tolist() == ["4 x 128"] * 4 + ["128 x 128"] * 4 + ["128"] * 4
    assert (table[table["kind"] == "Dropout"]["array"] == "nothing trained").all()
    with capture_stderr():
        network = keras.models.load_model(bundle_folder / "model.keras", compile=False)
    assert table["numbers"].sum() == network.count_params()


def test_each_layer_with_weights_has_a_picture(bundle_folder: Path, tmp_path: Path) -> None:
    """Two LSTMs and two dense layers give four pictures and the table, no other file."""
    main(["inspect", "--bundle", str(bundle_folder), "--out", str(tmp_path)])
    pictures = [path for path in tmp_path.iterdir() if path.suffix == ".png"]
    assert len(pictures) == 4
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    assert len(list(tmp_path.iterdir())) == 5


def test_a_missing_keras_file_is_exit_2(
    toy_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without model.keras, `inspect` ends with exit code 2 and one line, and writes no folder."""
    with pytest.raises(SystemExit) as exit_info:
        main(["inspect", "--bundle", str(toy_bundle), "--out", str(tmp_path / "look")])
    assert exit_info.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "model.keras: is missing; expected" in line
    assert not (tmp_path / "look").exists()


def test_the_network_of_another_bundle_is_refused(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model.keras whose weights are not those of model.onnx is refused."""
    with capture_stderr():
        network = keras.models.load_model(bundle_folder / "model.keras", compile=False)
        network.set_weights([array + 1 for array in network.get_weights()])
        network.save(tmp_path / "model.keras")
    loaded_bundle = bundle.load(bundle_folder)
    windows = np.zeros((1, STEPS, len(NAMES)))
    scores = loaded_bundle.classifier.score(loaded_bundle.scaler.transform(windows))
    bundle.save(
        tmp_path / "bundle",
        loaded_bundle.manifest,
        (bundle_folder / "model.onnx").read_bytes(),
        loaded_bundle.scaler,
        bundle.GoldenFile(NAMES, windows.tolist(), scores.tolist(), [[[0.0] * 4, [1.0] * 4, [0.0] * 4]]),
        {"model.keras": (tmp_path / "model.keras").read_bytes()},
    )
    with pytest.raises(SystemExit) as exit_info:
        main(["inspect", "--bundle", str(tmp_path / "bundle"), "--out", str(tmp_path / "look")])
    assert exit_info.value.code == 2
    assert f"expected that of {loaded_bundle.manifest.id}" in capsys.readouterr().err
