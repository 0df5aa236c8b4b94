"""Truth and prediction of windows -> counts and shares, scikit-learn's where it has them.

A share of nothing is None: without a Faulty window there is no recall, neither 1 nor 0.
"""

from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.core.verdicts import FAULTY, NORMAL
from training.data.dataset import Dataset

__all__ = ["ClassReport", "Outcomes", "WindowMetrics", "class_reports", "count_outcomes", "measure"]

# One window of each outcome, in the order of `Outcomes`: weighted by its counts, they stand for all windows.
_TRUTH = (False, False, True, True)
_CALLED_FAULTY = (False, True, False, True)


class Outcomes(NamedTuple):
    """Numbers of windows by truth and prediction: a confusion matrix, row by row."""

    passed: int
    """Normal windows called Normal."""
    false_alarms: int
    """Normal windows called Faulty."""
    missed: int
    """Faulty windows called Normal."""
    found: int
    """Faulty windows called Faulty."""

    @property
    def false_share(self) -> float | None:
        """Share of the Normal windows that are called Faulty."""
        normal = self.passed + self.false_alarms
        return self.false_alarms / normal if normal else None

    @property
    def mcc(self) -> float | None:
        """Matthews correlation coefficient; None unless truth and predictions hold both classes."""
        from sklearn import metrics  # noqa: PLC0415 - most commands measure nothing

        passed, false_alarms, missed, found = self
        if 0 in (passed + false_alarms, missed + found, passed + missed, false_alarms + found):
            return None  # scikit-learn gives 0, as for a model that guesses
        return float(metrics.matthews_corrcoef(_TRUTH, _CALLED_FAULTY, sample_weight=self))


@dataclass(frozen=True, slots=True)
class ClassReport:
    """One line of the classification report: its class is taken for the one to find."""

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    windows: int
    """Number of windows that truly are of this class."""


@dataclass(frozen=True, slots=True)
class WindowMetrics:
    """Counts of windows, and the shares that follow from them. A share of nothing is None."""

    found: int
    """Faulty windows called Faulty."""
    missed: int
    """Faulty windows called Normal."""
    false_alarms: int
    """Normal windows called Faulty."""
    passed: int
    """Normal windows called Normal."""
    precision: float | None
    recall: float | None
    f1: float | None
    mcc: float | None
    """Matthews correlation coefficient: 1 all right, 0 no better than guessing, -1 all wrong."""
    false_share: float | None
    """Share of the Normal windows that are called Faulty."""
    recall_by_kind: dict[str, float]
    """Kind of fault -> share found of the windows whose last reading has it."""
    windows_by_kind: dict[str, int]
    """Kind of fault -> number of windows whose last reading has it."""

    def class_reports(self) -> tuple[ClassReport, ClassReport]:
        """Return precision, recall and F1 of Normal and of Faulty, each taken for the class to find."""
        return class_reports(Outcomes(self.passed, self.false_alarms, self.missed, self.found))

    def as_dict(self) -> dict[str, object]:
        """Return the same as plain values, for the manifest."""
        return asdict(self)


def measure(data: Dataset, called_faulty: NDArray[np.bool_]) -> WindowMetrics:
    """Compare the prediction of each window (window,) with its truth."""
    outcomes = count_outcomes(data.faulty, called_faulty)
    _, faulty = class_reports(outcomes)
    kinds = [str(kind) for kind in np.unique(data.kinds) if kind]
    return WindowMetrics(
        **outcomes._asdict(),
        precision=faulty.precision,
        recall=faulty.recall,
        f1=faulty.f1,
        mcc=outcomes.mcc,
        false_share=outcomes.false_share,
        recall_by_kind={kind: float(called_faulty[data.kinds == kind].mean()) for kind in kinds},
        windows_by_kind={kind: int((data.kinds == kind).sum()) for kind in kinds},
    )


def count_outcomes(faulty: NDArray[np.bool_], called_faulty: NDArray[np.bool_]) -> Outcomes:
    """Count truths and predictions (window,)."""
    return Outcomes(
        passed=int((~faulty & ~called_faulty).sum()),
        false_alarms=int((~faulty & called_faulty).sum()),
        missed=int((faulty & ~called_faulty).sum()),
        found=int((faulty & called_faulty).sum()),
    )


def class_reports(outcomes: Outcomes) -> tuple[ClassReport, ClassReport]:
    """Return the classification report: the line of Normal, then that of Faulty."""
    from sklearn import metrics  # noqa: PLC0415 - most commands measure nothing

    if not any(outcomes):  # scikit-learn refuses weights that are all 0
        return ClassReport(NORMAL, None, None, None, 0), ClassReport(FAULTY, None, None, None, 0)
    columns = metrics.precision_recall_fscore_support(
        _TRUTH, _CALLED_FAULTY, labels=[False, True], sample_weight=outcomes, zero_division=np.nan
    )
    normal, faulty = (
        ClassReport(name, _nan_to_none(precision), _nan_to_none(recall), _nan_to_none(f1), int(windows))
        for name, precision, recall, f1, windows in zip((NORMAL, FAULTY), *columns, strict=True)
    )
    return normal, faulty


def _nan_to_none(share: float) -> float | None:
    return None if np.isnan(share) else float(share)
