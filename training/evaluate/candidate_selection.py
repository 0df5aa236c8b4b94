"""Selects the settings of a classifier on the validation set, and evaluates them on the test set.

The candidate with the highest F1 score on the validation set is selected. It is not retrained with the
validation set added, because the LSTM is not retrained either. Of a large training set, the candidates are
compared after training on a part of it, and only the selected one is trained on all of it: that is one long
training in place of four, and the settings hardly depend on the amount of data.
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

__all__ = ["DataSplit", "measure_on_test", "measure_scoring_time", "select_candidate"]

# Windows per call in the speed measurement, about as many as the monitor scores at once in a burst of
# readings.
_BATCH_SIZE = 1024
_TIMED_WINDOWS = 8 * _BATCH_SIZE
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class DataSplit:
    """Training, validation and test set of all classifiers, and the scaler for them."""

    train: Dataset
    validation: Dataset
    test: Dataset
    scaler: Scaler
    sample_period: float
    """Seconds between two readings of a group."""
    drawn_at_random: bool = False
    """Whether the split is random, so that incidents mean nothing."""


def select_candidate(
    candidates: Sequence[Candidate],
    data: DataSplit,
    advance: Callable[[], None] = lambda: None,
    max_windows: int | None = None,
) -> tuple[str, ScoreFunction]:
    """Train each candidate on the training set; return settings and score function of the best candidate.

    Parameters
    ----------
    candidates : at least one candidate; if several have the same F1 score, the first of them is selected.
    data : the training and the validation set are used.
    advance : called after each candidate.
    max_windows : number of training windows on which the candidates are compared; None for all.
    """
    scaled, faulty = data.scaler.transform(data.train.windows), data.train.faulty
    scaled_validation = data.scaler.transform(data.validation.windows)
    # Every n-th window, so that the part has all hours of all groups.
    part = slice(None, None, 1 if max_windows is None else max(1, -(-len(scaled) // max_windows)))
    best: tuple[float, Candidate, ScoreFunction] | None = None
    for candidate in candidates:
        score = candidate.train(scaled[part], faulty[part])
        f1 = (
            window_metrics.compute_window_metrics(
                data.validation, score(scaled_validation) > DEFAULT_THRESHOLD
            ).f1
            or 0.0
        )
        if best is None or f1 > best[0]:
            best = (f1, candidate, score)
        advance()
    if best is None:
        raise ValueError("there must be a candidate")
    _, chosen, score = best
    return chosen.settings, score if part.step == 1 else chosen.train(scaled, faulty)


def measure_on_test(
    name: str,
    settings: str,
    candidates: int,
    score: ScoreFunction,
    data: DataSplit,
    threshold: float = DEFAULT_THRESHOLD,
) -> ClassifierResult:
    """Evaluate a classifier on the test set, which was not used to select its settings.

    Parameters
    ----------
    name, settings, candidates : as in `ClassifierResult`.
    score : the score function of the classifier.
    data : the test set is used.
    threshold : a window is predicted Faulty if its score is above the threshold.
    """
    scaled = data.scaler.transform(data.test.windows)
    predicted_faulty = score(scaled) > threshold
    incident_metrics = (
        None
        if data.drawn_at_random
        else incidents.compute_incident_metrics(data.test, predicted_faulty, data.sample_period)
    )
    return ClassifierResult(
        name=name,
        settings=settings,
        candidates=candidates,
        quality=window_metrics.compute_window_metrics(data.test, predicted_faulty),
        false_alarms_a_day=incident_metrics.false_alarms_per_group_day if incident_metrics else None,
        seconds_per_million=measure_scoring_time(score, scaled),
    )


def measure_scoring_time(score: ScoreFunction, scaled: NDArray[np.float32]) -> float:
    """Return the seconds to score a million windows on one thread, from the fastest of three short runs."""
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
