"""Metrics of scores that do not depend on a threshold: ROC curve, precision-recall curve, calibration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from monitor.core.arrays import FloatArray

__all__ = [
    "Calibration",
    "Curve",
    "compute_calibration",
    "compute_loss",
    "compute_precision_recall",
    "compute_roc",
]

_BINS = 10
# Scores closer than this to 0 or 1 count as this close in the loss, as in Keras.
_LOSS_EPSILON = 1e-7
# Maximum number of points of a curve: enough for a smooth plot, and few enough for a readable JSON file.
_MAX_POINTS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A curve of two shares over all thresholds, and the area under it."""

    x: FloatArray
    """Values on the horizontal axis: (point,)."""
    y: FloatArray
    """Values on the vertical axis: (point,)."""
    area: float

    def as_dict(self) -> dict[str, object]:
        """Return area and points as a JSON-serialisable dict."""
        return {"area": self.area, "x": self.x.round(5).tolist(), "y": self.y.round(5).tolist()}


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Calibration of the scores, in bins of equal width.

    Scores are calibrated if, for example, 80 % of the windows with score 0.8 are Faulty.
    """

    predicted: FloatArray
    """Mean score of the windows in each bin, NaN for an empty bin: (bin,)."""
    observed: FloatArray
    """Share of Faulty windows in each bin, NaN for an empty bin: (bin,)."""
    window_counts: NDArray[np.intp]
    """Number of windows in each bin: (bin,)."""
    error: float
    """Expected calibration error: mean of |`predicted` - `observed`|, weighted by the number of windows."""
    brier: float
    """Brier score: mean squared difference of score and true label (0 or 1)."""

    def as_dict(self) -> dict[str, object]:
        """Return the values as a JSON-serialisable dict, with None in place of NaN."""
        return {
            "error": self.error,
            "brier": self.brier,
            "predicted": [_nan_to_none(share) for share in self.predicted],
            "observed": [_nan_to_none(share) for share in self.observed],
            "windows": self.window_counts.tolist(),
        }


def compute_roc(faulty: NDArray[np.bool_], scores: FloatArray) -> Curve | None:
    """Compute the ROC curve: recall of class Faulty (y) over the false positive rate (x).

    Parameters
    ----------
    faulty : the true labels (window,).
    scores : P(Faulty) of each window (window,).

    Returns
    -------
    The curve; None if all windows are of one class.
    """
    if faulty.all() or not faulty.any():
        return None
    false_share, recall, _ = metrics.roc_curve(faulty, scores)
    return _thin(false_share, recall, float(metrics.roc_auc_score(faulty, scores)))


def compute_precision_recall(faulty: NDArray[np.bool_], scores: FloatArray) -> Curve | None:
    """Compute the precision-recall curve: precision (y) over ascending recall (x); area: average precision.

    Parameters
    ----------
    faulty : the true labels (window,).
    scores : P(Faulty) of each window (window,).

    Returns
    -------
    The curve; None if all windows are of one class.
    """
    if faulty.all() or not faulty.any():
        return None
    precision, recall, _ = metrics.precision_recall_curve(faulty, scores, drop_intermediate=True)
    return _thin(recall[::-1], precision[::-1], float(metrics.average_precision_score(faulty, scores)))


def compute_loss(faulty: NDArray[np.bool_], scores: FloatArray) -> float:
    """Compute the binary cross-entropy of scores (window,) against true labels (window,), as Keras does."""
    true_class_scores = np.clip(np.where(faulty, scores, 1 - scores), _LOSS_EPSILON, 1 - _LOSS_EPSILON)
    return float(-np.log(true_class_scores).mean())


def compute_calibration(faulty: NDArray[np.bool_], scores: FloatArray) -> Calibration:
    """Compute the calibration of scores (window,) against true labels (window,), for at least one window."""
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
    """Reduce a curve to its end points and points at equal distances along the curve."""
    arc_length = np.cumsum(np.abs(np.diff(x, prepend=x[0])) + np.abs(np.diff(y, prepend=y[0])))
    target_lengths = np.linspace(arc_length[0], arc_length[-1], _MAX_POINTS)
    chosen = np.unique([0, len(x) - 1, *np.minimum(np.searchsorted(arc_length, target_lengths), len(x) - 1)])
    return Curve(x[chosen], y[chosen], area)


def _nan_to_none(share: float) -> float | None:
    return None if np.isnan(share) else float(share)
