"""Scores many windows on several cores at once."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.detect.scoring import Scorer

__all__ = ["ParallelScorer"]

# Windows for each core from which another core pays off: it scores them in 0.4 ms, and handing over takes
# 0.05.
_MIN_CHUNK = 64
# At most this many in a chunk, so that a core with other work gets fewer chunks.
_MAX_CHUNK = 256
# The model is half of all work; with more cores the other half, on one thread, is the limit.
_MAX_CORES = 4


class ParallelScorer:
    """Splits windows between cores. The scorer must release the GIL while it works.

    Two cores judge 1.3 to 1.4 times as many readings a second that come in arrays, and 1.06 times as many
    that come one by one, where broker and sender use the second core.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._cores = min(_available_cores(), _MAX_CORES)
        self._pool = ThreadPoolExecutor(self._cores, "scorer")  # starts threads when they are needed

    def score(self, scaled: NDArray[np.float32]) -> FloatArray:
        """Return P(Faulty) of scaled windows (window, step, feature): (window,)."""
        count = len(scaled)
        cores = min(self._cores, count // _MIN_CHUNK)
        if cores < 2:  # noqa: PLR2004, nothing to split
            return self._scorer.score(scaled)
        chunks = np.array_split(scaled, max(cores, -(-count // _MAX_CHUNK)))
        return np.concatenate(list(self._pool.map(self._scorer.score, chunks)))


def _available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
