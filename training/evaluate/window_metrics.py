"""Computes classification metrics from true labels and predictions of windows, with scikit-learn if possible.

An undefined metric is None: for example, there is no recall if no window is Faulty.
"""

from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.core.verdicts import FAULTY, NORMAL
from training.data.dataset import Dataset

__all__ = [
    "ClassReport",
    "Outcomes",
    "WindowMetrics",
    "compute_averages",
    "compute_class_reports",
    "compute_window_metrics",
    "count_outcomes",
]

# One window of each outcome, in the order of `Outcomes`. With the counts as sample weights, these four
# windows represent all windows.
_TRUTH = (False, False, True, True)
_PREDICTED_FAULTY = (False, True, False, True)


class Outcomes(NamedTuple):
    """Numbers of windows by true label and prediction: the cells of the confusion matrix, row by row."""

    passed: int
    """Number of Normal windows predicted Normal."""
    false_alarms: int
    """Number of Normal windows predicted Faulty."""
    missed: int
    """Number of Faulty windows predicted Normal."""
    found: int
    """Number of Faulty windows predicted Faulty."""

    @property
    def accuracy(self) -> float | None:
        """Share of the windows whose prediction is their true label."""
        return (self.passed + self.found) / sum(self) if any(self) else None

    @property
    def false_share(self) -> float | None:
        """Share of the Normal windows that are predicted Faulty."""
        normal = self.passed + self.false_alarms
        return self.false_alarms / normal if normal else None

    @property
    def mcc(self) -> float | None:
        """Matthews correlation coefficient; None unless both labels and predictions contain both classes."""
        from sklearn import metrics  # noqa: PLC0415 - most commands measure nothing

        passed, false_alarms, missed, found = self
        if 0 in (passed + false_alarms, missed + found, passed + missed, false_alarms + found):
            return None  # scikit-learn returns 0, as for random guesses
        return float(metrics.matthews_corrcoef(_TRUTH, _PREDICTED_FAULTY, sample_weight=self))


@dataclass(frozen=True, slots=True)
class ClassReport:
    """One line of the classification report: the metrics of a class, or their average over both classes."""

    name: str
    """Normal, Faulty, "macro avg" (both count alike) or "weighted avg" (by number of windows)."""
    precision: float | None
    recall: float | None
    f1: float | None
    windows: int
    """Number of windows whose true label is this class; for an average, all windows."""


@dataclass(frozen=True, slots=True)
class WindowMetrics:
    """Counts of windows by outcome, and metrics computed from them. An undefined metric is None."""

    found: int
    """Number of Faulty windows predicted Faulty."""
    missed: int
    """Number of Faulty windows predicted Normal."""
    false_alarms: int
    """Number of Normal windows predicted Faulty."""
    passed: int
    """Number of Normal windows predicted Normal."""
    accuracy: float | None
    """Share of the windows whose prediction is their true label."""
    precision: float | None
    recall: float | None
    f1: float | None
    mcc: float | None
    """Matthews correlation coefficient: 1 for all predictions correct, 0 for random guesses, -1 for all
    wrong."""
    false_share: float | None
    """Share of the Normal windows that are predicted Faulty."""
    recall_by_kind: dict[str, float]
    """Fault kind -> share of the windows whose last reading has this kind that are predicted Faulty."""
    windows_by_kind: dict[str, int]
    """Fault kind -> number of windows whose last reading has this kind."""

    def class_reports(self) -> tuple[ClassReport, ClassReport]:
        """Return the metrics with Normal, and with Faulty, as the positive class."""
        return compute_class_reports(self._outcomes)

    def averages(self) -> tuple[ClassReport, ClassReport]:
        """Return the macro average and the weighted average of both classes."""
        return compute_averages(self._outcomes)

    @property
    def _outcomes(self) -> Outcomes:
        return Outcomes(self.passed, self.false_alarms, self.missed, self.found)

    def as_dict(self) -> dict[str, object]:
        """Return the metrics as a JSON-serialisable dict, for the manifest."""
        return asdict(self)


def compute_window_metrics(data: Dataset, predicted_faulty: NDArray[np.bool_]) -> WindowMetrics:
    """Compute metrics from the labels of `data` and the predictions (window,)."""
    outcomes = count_outcomes(data.faulty, predicted_faulty)
    _, faulty = compute_class_reports(outcomes)
    kinds = [str(kind) for kind in np.unique(data.kinds) if kind]
    return WindowMetrics(
        **outcomes._asdict(),
        accuracy=outcomes.accuracy,
        precision=faulty.precision,
        recall=faulty.recall,
        f1=faulty.f1,
        mcc=outcomes.mcc,
        false_share=outcomes.false_share,
        recall_by_kind={kind: float(predicted_faulty[data.kinds == kind].mean()) for kind in kinds},
        windows_by_kind={kind: int((data.kinds == kind).sum()) for kind in kinds},
    )


def count_outcomes(faulty: NDArray[np.bool_], predicted_faulty: NDArray[np.bool_]) -> Outcomes:
    """Count the windows by true label (window,) and prediction (window,)."""
    return Outcomes(
        passed=int((~faulty & ~predicted_faulty).sum()),
        false_alarms=int((~faulty & predicted_faulty).sum()),
        missed=int((faulty & ~predicted_faulty).sum()),
        found=int((faulty & predicted_faulty).sum()),
    )


def compute_class_reports(outcomes: Outcomes) -> tuple[ClassReport, ClassReport]:
    """Return the classification report: the line for Normal and the line for Faulty."""
    from sklearn import metrics  # noqa: PLC0415 - most commands measure nothing

    if not any(outcomes):  # scikit-learn rejects sample weights that are all 0
        return ClassReport(NORMAL, None, None, None, 0), ClassReport(FAULTY, None, None, None, 0)
    columns = metrics.precision_recall_fscore_support(
        _TRUTH, _PREDICTED_FAULTY, labels=[False, True], sample_weight=outcomes, zero_division=np.nan
    )
    normal, faulty = (
        ClassReport(name, _nan_to_none(precision), _nan_to_none(recall), _nan_to_none(f1), int(windows))
        for name, precision, recall, f1, windows in zip((NORMAL, FAULTY), *columns, strict=True)
    )
    return normal, faulty


def compute_averages(outcomes: Outcomes) -> tuple[ClassReport, ClassReport]:
    """Return the last lines of the classification report: macro average and weighted average.

    A metric that is undefined for one class is averaged over the other class alone.
    """
    windows = sum(outcomes)
    if not windows:
        return ClassReport("macro avg", None, None, None, 0), ClassReport("weighted avg", None, None, None, 0)
    macro, weighted = (_compute_average(average, outcomes, windows) for average in ("macro", "weighted"))
    return macro, weighted


def _compute_average(average: str, outcomes: Outcomes, windows: int) -> ClassReport:
    from sklearn import metrics  # noqa: PLC0415 - most commands measure nothing

    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        _TRUTH, _PREDICTED_FAULTY, average=average, sample_weight=outcomes, zero_division=np.nan
    )
    return ClassReport(
        f"{average} avg", _nan_to_none(precision), _nan_to_none(recall), _nan_to_none(f1), windows
    )


def _nan_to_none(share: float) -> float | None:
    return None if np.isnan(share) else float(share)
