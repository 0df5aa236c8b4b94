import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.detect.contributions import Contributions, Occlusion

QUICK = settings(derandomize=True, deadline=None, max_examples=150)
SHAPE = 3, 4
EXPECTED = np.zeros(SHAPE)


def _explain(logit: FloatArray, window: NDArray[np.float32]) -> Contributions:
    """Explain a score whose logit is 1 plus the sum of the values, weighted by `logit` (step, feature)."""

    def score(windows: FloatArray) -> FloatArray:
        return 1 / (1 + np.exp(-(windows * logit).sum(axis=(1, 2)) - 1))  # type: ignore[no-any-return]

    return Occlusion(*SHAPE).explain(window, EXPECTED, score)


VALUES = st_numpy.arrays(np.float32, SHAPE, elements=st.integers(-8, 8).map(lambda n: n / 8))


@QUICK
@given(VALUES, VALUES)
def test_shares_of_a_linear_model(logit: NDArray[np.float32], window: NDArray[np.float32]) -> None:
    """If the logit is a sum, a value's share is its term's share of all positive terms."""
    parts = np.maximum(logit.astype(np.float64) * window, 0)
    found = _explain(logit.astype(np.float64), window)
    if not parts.any():
        assert (found.by_feature, found.by_step) == (None, None)
        return
    assert found.by_step is not None
    assert found.by_feature is not None
    np.testing.assert_allclose(found.by_step, parts / parts.sum(), atol=1e-6)
    np.testing.assert_allclose(found.by_feature, parts.sum(axis=0) / parts.sum(), atol=1e-6)
    assert found.by_step.sum() == pytest.approx(1)


def _step_score(windows: FloatArray) -> FloatArray:
    """Return 1 if any value is above 1, else 0: the extremes that a float32 score can take."""
    return (windows > 1).any(axis=(1, 2)).astype(np.float64)


def test_saturated_scores() -> None:
    """Scores of exactly 1 and 0 give finite shares."""
    window = np.zeros(SHAPE)
    window[2, 1] = 5
    found = Occlusion(*SHAPE).explain(window, EXPECTED, _step_score)
    assert found.by_feature is not None
    assert found.by_step is not None
    assert found.by_feature.tolist() == [0, 1, 0, 0]
    assert found.by_step.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]]


def test_fault_that_fills_the_window() -> None:
    """If each step alone makes the window Faulty, no single value has a share, but the feature has."""
    window = np.zeros(SHAPE)
    window[:, 1] = 5
    found = Occlusion(*SHAPE).explain(window, EXPECTED, _step_score)
    assert found.by_step is None
    assert found.by_feature is not None
    assert found.by_feature.tolist() == [0, 1, 0, 0]


def test_two_faults_at_once() -> None:
    """If each of two features alone makes the window Faulty, nothing has a share."""
    found = Occlusion(*SHAPE).explain(np.full(SHAPE, 5.0), EXPECTED, _step_score)
    assert (found.by_feature, found.by_step) == (None, None)
