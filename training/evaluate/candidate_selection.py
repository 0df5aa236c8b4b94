"""Choose the settings of a classifier on the validation part, and measure the choice on the test part.

The candidate with the highest F1 on the validation part is measured on the test part. It is not trained again
on the validation part, because the LSTM is not either.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from monitor.bundle.scaler import Scaler
from monitor.core.rules import DEFAULT_THRESHOLD
from training.data.dataset import Dataset
from training.evaluate import incidents, window_metrics
from training.evaluate.classifiers import Candidate, ScoreFunction
from training.evaluate.comparison_table import ClassifierResult

__all__ = ["DataSplit", "measure_on_test", "select_candidate", "time_scoring"]

# About what the monitor scores in a burst, repeated often enough to time it.
_BATCH_SIZE = 1024
_TIMED_WINDOWS = 8 * _BATCH_SIZE
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class DataSplit:
    """The windows that all classifiers are trained and measured on."""

    train: Dataset
    validation: Dataset
    test: Dataset
    scaler: Scaler
    sample_period: float
    """Seconds between two readings of a group."""


def select_candidate(
    candidates: Sequence[Candidate], parts: DataSplit, advance: Callable[[], None] = lambda: None
) -> tuple[str, ScoreFunction]:
    """Train each candidate on the training part; return the settings and the score function of the best.

    Parameters
    ----------
    candidates : at least one; of several with the same F1, the first is chosen.
    advance : called after each candidate.
    """
    scaled = parts.scaler.transform(parts.train.windows)
    scaled_validation = parts.scaler.transform(parts.validation.windows)
    best: tuple[float, str, ScoreFunction] | None = None
    for candidate in candidates:
        score = candidate.train(scaled, parts.train.faulty)
        f1 = window_metrics.measure(parts.validation, score(scaled_validation) > DEFAULT_THRESHOLD).f1 or 0.0
        if best is None or f1 > best[0]:
            best = (f1, candidate.settings, score)
        advance()
    if best is None:
        raise ValueError("there must be a candidate")
    return best[1], best[2]


def measure_on_test(
    name: str,
    settings: str,
    candidates: int,
    score: ScoreFunction,
    parts: DataSplit,
    threshold: float = DEFAULT_THRESHOLD,
) -> ClassifierResult:
    """Measure a classifier on the test part, which had no influence on its choice.

    Parameters
    ----------
    name, settings, candidates : as in `ClassifierResult`.
    threshold : a window is called Faulty where its score is above this.
    """
    scaled = parts.scaler.transform(parts.test.windows)
    called_faulty = score(scaled) > threshold
    alerts = incidents.measure(parts.test, called_faulty, parts.sample_period)
    return ClassifierResult(
        name=name,
        settings=settings,
        candidates=candidates,
        quality=window_metrics.measure(parts.test, called_faulty),
        false_alarms_a_day=alerts.false_alarms_a_day,
        seconds_per_million=time_scoring(score, scaled),
    )


def time_scoring(score: ScoreFunction, scaled: NDArray[np.float32]) -> float:
    """Return the seconds to score a million windows on one thread, by the best of three short runs."""
    rows = np.resize(np.arange(len(scaled)), _TIMED_WINDOWS)
    batches = np.split(scaled[rows], _TIMED_WINDOWS // _BATCH_SIZE)
    shortest_s = np.inf
    with threadpool_limits(1):
        for _ in range(3):
            started_at = time.perf_counter()
            for batch in batches:
                score(batch)
            shortest_s = min(shortest_s, time.perf_counter() - started_at)
    return float(shortest_s * _MILLION / _TIMED_WINDOWS)
