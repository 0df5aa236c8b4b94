import numpy as np
import pytest

from monitor.bundle.model import Classifier
from monitor.bundle.scaler import Scaler
from monitor.core.errors import BundleError
from tests.support.toy_bundle import SCALER, STEPS, toy_model, toy_sensor_model

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """The toy model: a steep sigmoid around a difference of 5 degC between the temperatures."""
    return Classifier(toy_model(), STEPS, 4)


def test_scaler_subtracts_mean_and_divides_by_scale() -> None:
    """Each feature's mean is subtracted and the result divided by its scale; the shape stays the same."""
    windows = np.array([[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]], [[4.0, 40.0], [5.0, 50.0], [6.0, 60.0]]])
    scaled = Scaler.from_numbers([1.0, 20.0], [2.0, 10.0]).transform(windows)
    assert scaled.tolist() == [[[0, -1], [0.5, 0], [1, 1]], [[1.5, 2], [2, 3], [2.5, 4]]]
    assert scaled.dtype == np.float32
    assert windows[0, 0].tolist() == [1.0, 10.0]


def test_scaler_scales_before_it_rounds() -> None:
    """A small change of a large mean is kept: the result is rounded to float32 after scaling."""
    scaled = Scaler.from_numbers([1e9], [1e-3]).transform(np.array([[[1e9 + 1e-3]]]))
    assert scaled[0, 0, 0] == pytest.approx(1, abs=1e-3)


def test_scaler_without_windows() -> None:
    """Scaling an empty array gives an empty array of the same shape."""
    assert SCALER.transform(np.empty((0, 3, 4))).shape == (0, 3, 4)


@pytest.mark.parametrize(
    ("mean", "scale", "rule"),
    [
        ([0.0], [1.0, 1.0], "1 means and 2 scales"),
        ([0.0], [0.0], "above 0, not 0.0"),
        ([0.0], [-1.0], "above 0, not -1.0"),
        ([float("nan")], [1.0], "finite"),
        ([0.0], [float("inf")], "finite"),
    ],
)
def test_scaler_rejects_invalid_numbers(mean: list[float], scale: list[float], rule: str) -> None:
    """Invalid means and scales are rejected with the rule that they break."""
    with pytest.raises(ValueError, match=rule):
        Scaler.from_numbers(mean, scale)


def test_scores(classifier: Classifier) -> None:
    """The score of each window equals the result of the model's formula."""
    windows = RANDOM.normal(size=(50, STEPS, 4)).astype(np.float32)
    deviation = np.abs(windows[:, :, 0] - windows[:, :, 2]).max(axis=1)  # (window,)
    expected = 1 / (1 + np.exp(-20 * (deviation - 0.5)))
    scores = classifier.score(windows)
    assert scores.shape == (50,)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize("count", [1, 1023, 1024, 1025, 2100])
def test_score_does_not_depend_on_the_batch(classifier: Classifier, count: int) -> None:
    """A window gets the same score in a batch of any size as alone."""
    windows = RANDOM.normal(scale=0.3, size=(count, STEPS, 4)).astype(np.float32)
    indices = sorted({0, count // 2, count - 1, min(1023, count - 1), min(1024, count - 1)})
    single_scores = [classifier.score(windows[index : index + 1])[0] for index in indices]
    np.testing.assert_allclose(classifier.score(windows)[indices], single_scores, atol=1e-6)


def test_no_windows(classifier: Classifier) -> None:
    """An empty batch gives an empty array of scores."""
    assert classifier.score(np.empty((0, STEPS, 4), dtype=np.float32)).shape == (0,)


@pytest.mark.parametrize("index", [0, 1500])
def test_nan_score_raises(classifier: Classifier, index: int) -> None:
    """A NaN score raises at any index of a batch, because it would compare as Normal."""
    windows = np.zeros((1600, STEPS, 4), dtype=np.float32)
    windows[index] = np.nan
    with pytest.raises(FloatingPointError, match="not a number"):
        classifier.score(windows)


@pytest.mark.parametrize(("steps", "features"), [(2, 4), (3, 3), (4, 3)])
def test_other_window_shape(steps: int, features: int) -> None:
    """A model for another window shape is rejected with both shapes."""
    with pytest.raises(BundleError, match=rf"3, 4.* expected one input \(window, {steps}, {features}\)"):
        Classifier(toy_model(), steps, features)


@pytest.mark.parametrize("content", [b"", b"no model", toy_model()[:200]])
def test_invalid_model(content: bytes) -> None:
    """Content that is no model is rejected with a one-line error that names the file."""
    with pytest.raises(BundleError, match=r"^model\.onnx: can't be loaded") as error:
        Classifier(content, STEPS, 4)
    assert "\n" not in str(error.value)


def test_score_of_a_window_is_that_of_its_worst_sensor() -> None:
    """A model of one sensor judges the sensors that it is told to; the highest score is the window's."""
    classifier = Classifier(toy_sensor_model(), STEPS, 4, np.array([0, 3]))
    windows = RANDOM.normal(scale=0.5, size=(700, STEPS, 4)).astype(np.float32)
    distance = np.abs(windows[:, :, [0, 3]]).max(axis=(1, 2))  # (window,)
    expected = 1 / (1 + np.exp(-20 * (distance - 0.5)))
    np.testing.assert_allclose(classifier.score(windows), expected, atol=1e-5)
    others = classifier.for_sensors(np.array([1])).score(windows)
    np.testing.assert_allclose(
        others, 1 / (1 + np.exp(-20 * (np.abs(windows[:, :, 1]).max(axis=1) - 0.5))), atol=1e-5
    )
    assert classifier.score(windows[:0]).shape == (0,)


def test_model_of_one_sensor_is_told_from_one_of_windows() -> None:
    """A model for windows isn't taken for one of sensors, nor the other way round."""
    with pytest.raises(BundleError, match=r"expected one input \(window, 3, 1\)"):
        Classifier(toy_model(), STEPS, 4, np.array([0, 1]))
    with pytest.raises(BundleError, match=r"expected one input \(window, 3, 4\)"):
        Classifier(toy_sensor_model(), STEPS, 4)
