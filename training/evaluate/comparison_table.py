"""Classifiers side by side: same windows, same labels, same split, same effort of tuning.

Each has four candidates; the one with the highest F1 on the validation part is measured on the test part.
The LSTM has one, its settings: it gets less tuning than the others, not more. Nobody is trained again on
the validation part, for the LSTM isn't. The LSTM's training moves windows; the others are shown with and
without that.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from monitor.bundle.scaler import Scaler
from monitor.core.rules import DEFAULT_THRESHOLD
from training.data.dataset import Dataset
from training.evaluate import incidents, window_metrics
from training.evaluate.classifiers import Candidate, ScoreFunction
from training.evaluate.window_metrics import WindowMetrics

__all__ = [
    "ClassifierResult",
    "ComparisonTable",
    "DataSplit",
    "measure_on_test",
    "select_candidate",
    "time_scoring",
]

# About what the monitor sees in a burst, often enough to time it.
_BATCH_SIZE = 1024
_TIMED_WINDOWS = 8 * _BATCH_SIZE
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class DataSplit:
    """The split that all share."""

    train: Dataset
    validation: Dataset
    test: Dataset
    scaler: Scaler
    sample_period: float
    """Seconds between two readings of a group."""


@dataclass(frozen=True, slots=True)
class ClassifierResult:
    """How one classifier did on the test part."""

    name: str
    settings: str
    """What was chosen on the validation part."""
    candidates: int
    """How many there were to choose from."""
    quality: WindowMetrics
    false_alarms_a_day: float
    """Incidents begun on a healthy window, a day and group of judged time. Who calls nearly all Faulty has
    few, for its one incident never ends: read it with `quality.false_share`."""
    seconds_per_million: float
    """Time to score a million windows, one thread."""


@dataclass(frozen=True, slots=True)
class ComparisonTable:
    """All classifiers on one split."""

    split: str
    """`time` or `random`."""
    results: tuple[ClassifierResult, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the same as plain values."""
        return {"split": self.split, "standings": [asdict(result) for result in self.results]}

    def __str__(self) -> str:
        """Say it as a Markdown table, which reads well on a terminal as well."""
        kinds = sorted({kind for result in self.results for kind in result.quality.recall_by_kind})
        header = [
            "split " + self.split,
            "F1",
            "MCC",
            *kinds,
            "Normal called Faulty",
            "false alarms/day",
            "s per million",
        ]
        rows = [
            [
                result.name,
                _format_share(result.quality.f1),
                _format_share(result.quality.mcc),
                *(_format_share(result.quality.recall_by_kind.get(kind)) for kind in kinds),
                _format_share(result.quality.false_share),
                f"{result.false_alarms_a_day:.1f}",
                f"{result.seconds_per_million:.2f}",
            ]
            for result in self.results
        ]
        return _markdown_table(header, rows)


def select_candidate(
    candidates: Sequence[Candidate], parts: DataSplit, advance: Callable[[], None] = lambda: None
) -> tuple[str, ScoreFunction]:
    """Train each candidate on the training part; return the settings and the scores of the best.

    Parameters
    ----------
    candidates : at least one; of equals, the first is taken.
    advance : called after each.
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
    """Measure on the test part what was chosen without it."""
    scaled = parts.scaler.transform(parts.test.windows)
    called_faulty = score(scaled) > threshold
    return ClassifierResult(
        name=name,
        settings=settings,
        candidates=candidates,
        quality=window_metrics.measure(parts.test, called_faulty),
        false_alarms_a_day=incidents.measure(
            parts.test, called_faulty, parts.sample_period
        ).false_alarms_a_day,
        seconds_per_million=time_scoring(score, scaled),
    )


def time_scoring(score: ScoreFunction, scaled: NDArray[np.float32]) -> float:
    """Return what scoring a million windows takes on one thread, from the best of three short runs."""
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


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [header, rule, *rows]
    return "\n".join(
        "| " + " | ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) + " |"
        for line in lines
    )


def _format_share(share: float | None) -> str:
    return "none" if share is None else f"{share:.3f}"
