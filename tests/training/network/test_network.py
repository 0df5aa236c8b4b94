from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor import bundle
from monitor.bundle.model import Classifier
from tests.support import requires_tensorflow  # noqa: F401 - skips this module without it
from tests.support.training_features import FEATURE_NAMES
from training.config.initializers import INITIALIZERS
from training.config.settings import FitSettings
from training.network import models, onnx_graph
from training.network.backend import keras
from training.network.capture_stderr import capture_stderr

STEPS, FEATURES = 3, len(FEATURE_NAMES)


def _build(**settings: object) -> keras.Model:
    models.make_deterministic(0)
    return models.build(FitSettings(**settings), STEPS, FEATURES, updates_per_epoch=10)  # type: ignore[arg-type]


def _windows(count: int) -> NDArray[np.float32]:
    """Return scaled windows: most as of a plant, many far outside, some with extreme numbers."""
    rng = np.random.default_rng(0)
    windows = rng.standard_normal((count, STEPS, FEATURES))
    windows[::3] *= 10.0 ** rng.uniform(-3, 4, (len(windows[::3]), 1, 1))
    windows[1::10] = rng.choice([-1e6, -100, 0, 100, 1e6], (len(windows[1::10]), STEPS, FEATURES))
    windows[2::50] = 1e30 * rng.choice([-1, 1], (len(windows[2::50]), 1, 1))
    return windows.astype(np.float32)


@pytest.mark.parametrize("kind", ["lstm", "dense", "sensor-lstm"])
def test_one_score_a_window(kind: str) -> None:
    """All networks give one P(Faulty) per window; an LSTM that returns sequences would give one per step."""
    scores = models.compute_scores(_build(network=kind), _windows(50)[:5])
    assert scores.shape == (5,)
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize(
    ("kind", "numbers"),
    # LSTM layer: 4 gates x (inputs + own outputs + bias) x units. Dense layer: (inputs + bias) x units.
    [
        ("lstm", 4 * (4 + 128 + 1) * 128 + 4 * (128 + 64 + 1) * 64 + (64 + 1) * 32 + 33),
        ("dense", (12 + 1) * 128 + (128 + 1) * 64 + (64 + 1) * 32 + 33),
        ("sensor-lstm", 4 * (1 + 16 + 1) * 16 + 4 * (16 + 8 + 1) * 8 + (8 + 1) * 8 + 9),
    ],
)
def test_trained_numbers(kind: str, numbers: int) -> None:
    """By default the layers have 128, 64, 32, 1 units, as in the notebook; of a sensor 16, 8, 8, 1."""
    assert _build(network=kind).count_params() == numbers


def test_sizes_and_dropout_are_settings() -> None:
    """The layers have the sizes and dropout rates of the settings."""
    for kind in ("lstm", "dense"):
        layers = _build(network=kind, units=(8, 6, 4), dropout=(0.1, 0.25)).layers
        assert [layer.units for layer in layers if hasattr(layer, "units")] == [8, 6, 4, 1]
        assert [layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)] == [0.1, 0.25]


def test_the_notebooks_initializers_by_layer() -> None:
    """Glorot for both LSTM layers and the output, He for the dense layer: each layer draws from its own."""
    mix = ("glorot_uniform", "random_normal(1.0, 0.1)", "he_normal", "random_uniform(2, 3)")
    lstm_1, _, lstm_2, _, dense, output = _build(
        kernel_initializer=mix, recurrent_initializer=("zeros", "orthogonal")
    ).layers
    assert [type(layer.kernel_initializer).__name__ for layer in (lstm_1, lstm_2, dense, output)] == [
        "GlorotUniform",
        "RandomNormal",
        "HeNormal",
        "RandomUniform",
    ]
    assert lstm_2.get_weights()[0].mean() == pytest.approx(1.0, abs=0.01)
    assert lstm_2.get_weights()[0].std() == pytest.approx(0.1, rel=0.05)
    assert dense.get_weights()[0].std() == pytest.approx(np.sqrt(2 / 64), rel=0.1)
    assert 2 <= output.get_weights()[0].min() <= output.get_weights()[0].max() <= 3
    assert not lstm_1.get_weights()[1].any()
    assert lstm_2.get_weights()[1].any()


@pytest.mark.parametrize("name", INITIALIZERS)
def test_each_initializer_is_used(name: str) -> None:
    """The initialisers of the settings draw the input and recurrent weights of both networks."""
    spread = {
        "zeros": 0.0,
        "ones": 0.0,
        "random_normal": 0.05,
        "random_uniform": 0.05 / np.sqrt(3),
        "he_normal": np.sqrt(2 / 128),
        "he_uniform": np.sqrt(2 / 128),
        "glorot_normal": np.sqrt(2 / (128 + 4 * 64)),
        "glorot_uniform": np.sqrt(2 / (128 + 4 * 64)),
    }[name]
    lstm = _build(kernel_initializer=name, recurrent_initializer=name).layers[2]
    kernel, recurrent, _ = lstm.get_weights()  # (128, 256), (64, 256)
    assert kernel.std() == pytest.approx(spread, rel=0.1, abs=1e-9)
    assert kernel.mean() == pytest.approx(float(name == "ones"), abs=0.01)
    if name in {"zeros", "ones", "random_normal", "random_uniform"}:
        assert recurrent.std() == pytest.approx(spread, rel=0.1, abs=1e-9)
    dense = _build(network="dense", kernel_initializer=name).layers[1].get_weights()[0]
    assert (dense == 0).all() == (name == "zeros")


def test_a_seed_determines_the_weights() -> None:
    """The same seed gives the same initial weights, another seed gives others."""
    first, again = (models.get_weights(_build()) for _ in range(2))
    for first_array, second_array in zip(first, again, strict=True):
        np.testing.assert_array_equal(first_array, second_array)
    models.make_deterministic(1)
    another = models.get_weights(models.build(FitSettings(), STEPS, FEATURES, updates_per_epoch=10))
    assert not np.array_equal(first[0], another[0])


def _assert_same_scores(model: keras.Model, onnx: bytes) -> None:
    windows = _windows(10_000)
    scores = Classifier(onnx, STEPS, FEATURES).score(windows)
    np.testing.assert_allclose(scores, models.compute_scores(model, windows), rtol=0, atol=1e-5)


def test_onnx_scores_as_keras_does(bundle_folder: Path) -> None:
    """The trained network gives the same scores to 1e-5 on 10,000 windows, also extreme ones."""
    bundle.load(bundle_folder)
    with capture_stderr():
        model = keras.saving.load_model(bundle_folder / "model.keras")
    _assert_same_scores(model, (bundle_folder / "model.onnx").read_bytes())


def test_the_dense_network_exports_too() -> None:
    """The dense network gives the same scores in ONNX too."""
    model = _build(network="dense")
    models.compute_scores(model, _windows(50))
    _assert_same_scores(model, onnx_graph.to_onnx(model))


def test_a_window_has_the_score_of_its_worst_sensor() -> None:
    """A network of sensors scores each pair's first sensor by itself; the highest score is the window's."""
    model, windows = _build(network="sensor-lstm"), _windows(200)
    judge = models.get_judge(model)
    assert judge.input_shape == (None, STEPS, 1)
    by_sensor = [models.compute_scores(judge, windows[:, :, [sensor]]) for sensor in (0, 1)]
    np.testing.assert_allclose(models.compute_scores(model, windows), np.maximum(*by_sensor), atol=1e-6)


def test_the_network_of_sensors_exports_too() -> None:
    """What judges one sensor gives the same scores in ONNX, where its LSTM layers are written out."""
    model, windows = _build(network="sensor-lstm"), _windows(10_000)
    classifier = Classifier(onnx_graph.to_onnx(model), STEPS, FEATURES, np.array([0, 1]))
    np.testing.assert_allclose(
        classifier.score(windows), models.compute_scores(model, windows), rtol=0, atol=1e-5
    )


def test_layers_draw_their_weights_in_order() -> None:
    """The first layer draws first, so that a seed gives the same bundle in every version."""
    models.make_deterministic(0)
    first = keras.layers.LSTM(128, return_sequences=True)
    first.build((None, STEPS, FEATURES))
    kernel, *_ = models.get_weights(_build())
    np.testing.assert_array_equal(kernel, first.get_weights()[0])
