import numpy as np
import pytest

from monitor.bundle.model import Classifier
from monitor.bundle.scaler import Scaler
from monitor.core.errors import BundleError
from tests.support.toy_bundle import SCALER, STEPS, toy_model

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """The toy model: steep around a difference of 5 degC between the temperatures."""
    return Classifier(toy_model(), STEPS, 4)


def test_scaler_takes_off_the_mean_and_divides_by_the_spread() -> None:
    """Each feature loses its own mean and is divided by its own scale; the shape stays."""
    windows = np.array([[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]], [[4.0, 40.0], [5.0, 50.0], [6.0, 60.0]]])
    scaled = Scaler.from_numbers([1.0, 20.0], [2.0, 10.0]).transform(windows)
    assert scaled.tolist() == [[[0, -1], [0.5, 0], [1, 1]], [[1.5, 2], [2, 3], [2.5, 4]]]
    assert scaled.dtype == np.float32
    assert windows[0, 0].tolist() == [1.0, 10.0]


def test_scaler_scales_before_it_rounds() -> None:
    """A small change on top of a large mean survives: float32 comes after scaling."""
    scaled = Scaler.from_numbers([1e9], [1e-3]).transform(np.array([[[1e9 + 1e-3]]]))
    assert scaled[0, 0, 0] == pytest.approx(1, abs=1e-3)


def test_scaler_without_windows() -> None:
    """No windows are scaled to no windows."""
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
def test_scaler_refuses(mean: list[float], scale: list[float], rule: str) -> None:
    """Numbers that can't scale are refused with the rule."""
    with pytest.raises(ValueError, match=rule):
        Scaler.from_numbers(mean, scale)


def test_scores(classifier: Classifier) -> None:
    """A score is what the model's formula gives, for each window by itself."""
    windows = RANDOM.normal(size=(50, STEPS, 4)).astype(np.float32)
    deviation = np.abs(windows[:, :, 0] - windows[:, :, 2]).max(axis=1)  # (window,)
    expected = 1 / (1 + np.exp(-20 * (deviation - 0.5)))
    scores = classifier.score(windows)
    assert scores.shape == (50,)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize("count", [1, 1023, 1024, 1025, 2100])
def test_batch_is_as_good_as_one_by_one(classifier: Classifier, count: int) -> None:
    """A window's score doesn't depend on how many come with it."""
    windows = RANDOM.normal(scale=0.3, size=(count, STEPS, 4)).astype(np.float32)
    indices = sorted({0, count // 2, count - 1, min(1023, count - 1), min(1024, count - 1)})
    alone = [classifier.score(windows[index : index + 1])[0] for index in indices]
    np.testing.assert_allclose(classifier.score(windows)[indices], alone, atol=1e-6)


def test_no_windows(classifier: Classifier) -> None:
    """No windows have no scores."""
    assert classifier.score(np.empty((0, STEPS, 4), dtype=np.float32)).shape == (0,)


@pytest.mark.parametrize("place", [0, 1500])
def test_score_that_is_no_number(classifier: Classifier, place: int) -> None:
    """A score that isn't a number raises, wherever it stands: it would compare as Normal."""
    windows = np.zeros((1600, STEPS, 4), dtype=np.float32)
    windows[place] = np.nan
    with pytest.raises(FloatingPointError, match="not a number"):
        classifier.score(windows)


@pytest.mark.parametrize(("steps", "features"), [(2, 4), (3, 3), (4, 3)])
def test_other_window_shape(steps: int, features: int) -> None:
    """A model for another window shape is refused with both shapes."""
    with pytest.raises(BundleError, match=rf"3, 4.* expected one input \(window, {steps}, {features}\)"):
        Classifier(toy_model(), steps, features)


@pytest.mark.parametrize("content", [b"", b"no model", toy_model()[:200]])
def test_no_model(content: bytes) -> None:
    """What is no model is refused in one line that names the file."""
    with pytest.raises(BundleError, match=r"^model\.onnx: can't be loaded") as error:
        Classifier(content, STEPS, 4)
    assert "\n" not in str(error.value)
