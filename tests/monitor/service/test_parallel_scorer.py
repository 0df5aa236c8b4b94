"""Windows are divided among threads, and each window gets its own score."""

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.service.parallel_scorer import ParallelScorer


class _RecordingScorer:
    """Scores a window by its first value, and records the thread and size of each call."""

    def __init__(self) -> None:
        self.chunk_sizes: list[int] = []
        self.threads: set[int] = set()

    def score(self, scaled: NDArray[np.float32]) -> FloatArray:
        self.chunk_sizes.append(len(scaled))
        self.threads.add(threading.get_ident())
        if np.isnan(scaled).any():
            raise FloatingPointError("no number")
        return scaled[:, 0, 0].astype(np.float64)


def _parallel_scorer(monkeypatch: pytest.MonkeyPatch, cores: int) -> tuple[ParallelScorer, _RecordingScorer]:
    monkeypatch.setattr("monitor.service.parallel_scorer._available_cores", lambda: cores)
    scorer = _RecordingScorer()
    return ParallelScorer(scorer, us_per_window=6.25), scorer


def _windows(count: int) -> NDArray[np.float32]:
    return np.arange(count * 12, dtype=np.float32).reshape(count, 3, 4)


@pytest.mark.parametrize("cores", [1, 2, 3, 64])
@pytest.mark.parametrize("count", [0, 1, 64, 127, 128, 129, 513, 4096])
def test_scores_keep_order(monkeypatch: pytest.MonkeyPatch, cores: int, count: int) -> None:
    """The scores are in the order of the windows, whichever thread computed them."""
    parallel, scorer = _parallel_scorer(monkeypatch, cores)
    windows = _windows(count)
    scores = parallel.score(windows)
    assert scores.tolist() == windows[:, 0, 0].tolist()
    assert scores.dtype == np.float64
    assert sum(scorer.chunk_sizes) == count


@pytest.mark.parametrize(
    ("cores", "count", "chunk_sizes"),
    [(1, 1000, [1000]), (2, 127, [127]), (2, 128, [64, 64]), (3, 130, [65, 65]), (2, 1000, [250] * 4)],
)
def test_chunk_sizes(monkeypatch: pytest.MonkeyPatch, cores: int, count: int, chunk_sizes: list[int]) -> None:
    """A few windows are scored on the calling thread; many are split into even chunks of limited size."""
    parallel, scorer = _parallel_scorer(monkeypatch, cores)
    parallel.score(_windows(count))
    assert scorer.chunk_sizes == chunk_sizes
    assert (threading.get_ident() in scorer.threads) == (len(chunk_sizes) == 1)


def test_exception_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in one chunk is raised."""
    parallel, _ = _parallel_scorer(monkeypatch, 2)
    windows = _windows(600)
    windows[500] = np.nan
    with pytest.raises(FloatingPointError, match="no number"):
        parallel.score(windows)
