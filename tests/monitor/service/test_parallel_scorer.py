"""Many windows are shared out, and each gets its own score back."""

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.service.parallel_scorer import SharedScorer


class _Scorer:
    """Scores a window with its first value, and notes who asked for how many."""

    def __init__(self) -> None:
        self.shares: list[int] = []
        self.threads: set[int] = set()

    def score(self, scaled: NDArray[np.float32]) -> FloatArray:
        self.shares.append(len(scaled))
        self.threads.add(threading.get_ident())
        if np.isnan(scaled).any():
            raise FloatingPointError("no number")
        return scaled[:, 0, 0].astype(np.float64)


def _shared(monkeypatch: pytest.MonkeyPatch, cores: int) -> tuple[SharedScorer, _Scorer]:
    monkeypatch.setattr("monitor.service.parallel_scorer._cores", lambda: cores)
    scorer = _Scorer()
    return SharedScorer(scorer), scorer


def _windows(count: int) -> NDArray[np.float32]:
    return np.arange(count * 12, dtype=np.float32).reshape(count, 3, 4)


@pytest.mark.parametrize("cores", [1, 2, 3, 64])
@pytest.mark.parametrize("count", [0, 1, 64, 127, 128, 129, 513, 4096])
def test_each_its_own(monkeypatch: pytest.MonkeyPatch, cores: int, count: int) -> None:
    """All scores come back in the windows' order, whoever found them."""
    shared, scorer = _shared(monkeypatch, cores)
    windows = _windows(count)
    scores = shared.score(windows)
    assert scores.tolist() == windows[:, 0, 0].tolist()
    assert scores.dtype == np.float64
    assert sum(scorer.shares) == count


@pytest.mark.parametrize(
    ("cores", "count", "shares"),
    [(1, 1000, [1000]), (2, 127, [127]), (2, 128, [64, 64]), (3, 130, [65, 65]), (2, 1000, [250] * 4)],
)
def test_shares(monkeypatch: pytest.MonkeyPatch, cores: int, count: int, shares: list[int]) -> None:
    """A few windows are nobody else's business, and many are shared in even pieces that aren't too large."""
    shared, scorer = _shared(monkeypatch, cores)
    shared.score(_windows(count))
    assert scorer.shares == shares
    assert (threading.get_ident() in scorer.threads) == (len(shares) == 1)


def test_what_goes_wrong_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a share raises is raised."""
    shared, _ = _shared(monkeypatch, 2)
    windows = _windows(600)
    windows[500] = np.nan
    with pytest.raises(FloatingPointError, match="no number"):
        shared.score(windows)
