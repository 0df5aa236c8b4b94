"""Scores many windows on several cores at once."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.detect.scoring import Scorer

__all__ = ["ParallelScorer"]

# Another core pays from so many windows on: they take it 0.4 ms, and to hand them over 0.05.
_MIN_CHUNK = 64
# No more at a time, so that a core that others need too gets fewer of them.
_MAX_CHUNK = 256
# The model is half of all work. With more cores the other half, which is one thread's, sets the pace.
_MAX_CORES = 4


class ParallelScorer:
    """Scores as another does, which lets go of Python's lock meanwhile, with each core taking a share.

    Two cores judge 1.3 to 1.4 times as many readings a second that come in arrays, and 1.06 times as many
    that come one by one, where broker and sender take the second core.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._cores = min(_available_cores(), _MAX_CORES)
        self._pool = ThreadPoolExecutor(self._cores, "scorer")  # has no thread before it is needed

    def score(self, scaled: NDArray[np.float32]) -> FloatArray:
        """Return P(Faulty) of scaled windows (window, step, feature): (window,)."""
        count = len(scaled)
        cores = min(self._cores, count // _MIN_CHUNK)
        if cores < 2:  # noqa: PLR2004, there is nothing to share
            return self._scorer.score(scaled)
        chunks = np.array_split(scaled, max(cores, -(-count // _MAX_CHUNK)))
        return np.concatenate(list(self._pool.map(self._scorer.score, chunks)))


def _available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
