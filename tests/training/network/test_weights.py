from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from monitor import bundle
from tests.support.toy_bundle import NAMES, STEPS
from training.cli.main import main
from training.network import weights
from training.network.backend import keras
from training.network.suppress_stderr import suppress_stderr

UNITS = 5


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-values))


def _last_output(
    window: NDArray[np.float64], arrays: list[NDArray[np.float32]], order: tuple[str, ...]
) -> object:
    """Run an LSTM by its equations over a window (step, feature), its gates taken in an order: (unit,)."""
    kernel, recurrent, biases = [
        dict(zip(order, weights.split_gates(array).values(), strict=True)) for array in arrays
    ]
    hidden, cell = np.zeros(UNITS), np.zeros(UNITS)
    for reading in window:
        gates = {gate: reading @ kernel[gate] + hidden @ recurrent[gate] + biases[gate] for gate in order}
        remembered = _sigmoid(gates["forget"]) * cell
        cell = remembered + _sigmoid(gates["input"]) * np.tanh(gates["cell"])
        hidden = _sigmoid(gates["output"]) * np.tanh(cell)
    return hidden


def test_the_gates_stand_in_keras_order() -> None:
    """An LSTM by hand from the split gates gives what Keras gives; in the notebook's order it does not."""
    rng = np.random.default_rng(0)
    arrays = [
        rng.normal(size=shape).astype(np.float32)
        for shape in ((4, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,))
    ]
    window = rng.normal(size=(3, 4))
    with suppress_stderr():
        network = keras.Sequential([keras.Input((3, 4)), keras.layers.LSTM(UNITS)])
        network.set_weights(arrays)
        expected = network(window[None]).numpy()[0]  # (unit,)
    np.testing.assert_allclose(_last_output(window, arrays, weights.GATES), expected, atol=1e-6)
    notebook_order = ("input", "forget", "output", "cell")
    assert not np.allclose(_last_output(window, arrays, notebook_order), expected, atol=1e-2)


def test_a_new_lstm_forgets_nothing() -> None:
    """Keras begins the forget gate's biases with 1 and the others with 0: that is where they are found."""
    with suppress_stderr():
        network = keras.Sequential([keras.Input((3, 4)), keras.layers.LSTM(UNITS)])
        (layer,) = weights.extract_layers(network)
    biases = {gate: set(part.tolist()) for gate, part in weights.split_gates(layer.arrays["biases"]).items()}
    assert biases == {"input": {0}, "forget": {1}, "cell": {0}, "output": {0}}


def test_every_layer_and_number_is_in_the_table(bundle_folder: Path, tmp_path: Path) -> None:
    """`inspect` writes a row for each array and gate, says which layers have none, and counts all numbers."""
    main(["inspect", "--bundle", str(bundle_folder), "--out", str(tmp_path / "look")])
    table = pd.read_csv(tmp_path / "look" / "weights.csv", keep_default_na=False)
    assert set(table["kind"]) == {"LSTM", "Dropout", "Dense"}
    lstm = table[table["layer"] == table["layer"].iloc[0]]
    assert lstm["gate"].tolist() == list(weights.GATES) * 3
    assert lstm["shape"].tolist() == ["4 x 128"] * 4 + ["128 x 128"] * 4 + ["128"] * 4
    assert (table[table["kind"] == "Dropout"]["array"] == "nothing trained").all()
    with suppress_stderr():
        network = keras.models.load_model(bundle_folder / "model.keras", compile=False)
    assert table["numbers"].sum() == network.count_params()


def test_each_layer_with_weights_has_a_picture(bundle_folder: Path, tmp_path: Path) -> None:
    """Two LSTMs and two dense layers make four pictures; nothing half-written stays."""
    main(["inspect", "--bundle", str(bundle_folder), "--out", str(tmp_path)])
    pictures = [path for path in tmp_path.iterdir() if path.suffix == ".png"]
    assert len(pictures) == 4
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    assert len(list(tmp_path.iterdir())) == 5


def test_without_the_network_it_says_so(
    toy_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bundle without model.keras is exit 2, one line, and no folder."""
    with pytest.raises(SystemExit) as exit_info:
        main(["inspect", "--bundle", str(toy_bundle), "--out", str(tmp_path / "look")])
    assert exit_info.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "model.keras: is missing; expected" in line
    assert not (tmp_path / "look").exists()


def test_the_network_of_another_bundle_is_refused(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model.keras that isn't what model.onnx was made from explains nothing."""
    with suppress_stderr():
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
