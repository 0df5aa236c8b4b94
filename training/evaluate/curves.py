"""Quality of scores at every threshold: ROC curve, precision-recall curve, calibration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from monitor.core.arrays import FloatArray

__all__ = ["Calibration", "Curve", "calibration", "precision_recall", "roc"]

_BINS = 10
# Enough for a smooth line, and few enough to read the JSON file by eye.
_MAX_POINTS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Two shares against each other as the threshold varies, and the area under the curve."""

    x: FloatArray
    """(point,)"""
    y: FloatArray
    """(point,)"""
    area: float

    def as_dict(self) -> dict[str, object]:
        """Return the same as plain values."""
        return {"area": self.area, "x": self.x.round(5).tolist(), "y": self.y.round(5).tolist()}


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Whether eight in ten windows with score 0.8 are Faulty: windows by score, in bins of equal width."""

    predicted: FloatArray
    """Mean score of the windows of each bin, NaN for an empty bin: (bin,)."""
    observed: FloatArray
    """Share of the windows of each bin that are Faulty, NaN for an empty bin: (bin,)."""
    window_counts: NDArray[np.intp]
    """Number of windows of each bin: (bin,)."""
    error: float
    """Expected calibration error: mean distance of `predicted` from `observed` by window."""
    brier: float
    """Brier score: mean squared distance of score and truth."""

    def as_dict(self) -> dict[str, object]:
        """Return the same as plain values, with None for the NaN of an empty bin."""
        return {
            "error": self.error,
            "brier": self.brier,
            "predicted": [_nan_to_none(share) for share in self.predicted],
            "observed": [_nan_to_none(share) for share in self.observed],
            "windows": self.window_counts.tolist(),
        }


def roc(faulty: NDArray[np.bool_], scores: FloatArray) -> Curve | None:
    """Return the share of Faulty windows found (y) against the share of Normal windows called Faulty (x).

    Parameters
    ----------
    faulty : the truth (window,).
    scores : P(Faulty) of each window (window,).

    Returns
    -------
    None where all windows are of one class.
    """
    if faulty.all() or not faulty.any():
        return None
    false_share, recall, _ = metrics.roc_curve(faulty, scores)
    return _thin(false_share, recall, float(metrics.roc_auc_score(faulty, scores)))


def precision_recall(faulty: NDArray[np.bool_], scores: FloatArray) -> Curve | None:
    """Return precision (y) against ascending recall (x); the area is the average precision.

    Parameters
    ----------
    faulty : the truth (window,).
    scores : P(Faulty) of each window (window,).

    Returns
    -------
    None where all windows are of one class.
    """
    if faulty.all() or not faulty.any():
        return None
    precision, recall, _ = metrics.precision_recall_curve(faulty, scores, drop_intermediate=True)
    return _thin(recall[::-1], precision[::-1], float(metrics.average_precision_score(faulty, scores)))


def calibration(faulty: NDArray[np.bool_], scores: FloatArray) -> Calibration:
    """Compare the scores of windows with their truth, (window,) each, at least one window."""
    bins = np.minimum((scores * _BINS).astype(int), _BINS - 1)  # (window,)
    window_counts = np.bincount(bins, minlength=_BINS)  # (bin,)
    counts_or_nan = np.where(window_counts > 0, window_counts, np.nan)
    predicted = np.bincount(bins, weights=scores, minlength=_BINS) / counts_or_nan
    observed = np.bincount(bins, weights=faulty, minlength=_BINS) / counts_or_nan
    error = np.nansum(window_counts * np.abs(predicted - observed)) / len(scores)
    return Calibration(
        predicted, observed, window_counts, float(error), float(np.mean((scores - faulty) ** 2))
    )


def _thin(x: FloatArray, y: FloatArray, area: float) -> Curve:
    """Keep both ends, and points at equal distances along the curve, steep parts included."""
    arc_length = np.cumsum(np.abs(np.diff(x, prepend=x[0])) + np.abs(np.diff(y, prepend=y[0])))
    target_lengths = np.linspace(arc_length[0], arc_length[-1], _MAX_POINTS)
    chosen = np.unique([0, len(x) - 1, *np.minimum(np.searchsorted(arc_length, target_lengths), len(x) - 1)])
    return Curve(x[chosen], y[chosen], area)


def _nan_to_none(share: float) -> float | None:
    return None if np.isnan(share) else float(share)
