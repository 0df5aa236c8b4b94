"""Removes training windows with outliers by the interquartile range rule, and counts the removed windows.

The rule is that of the original notebook: a value that is more than 1.5 interquartile ranges below the first
or above the third quartile of its column is an outlier, and its row is removed. Two mistakes of the notebook
are corrected: the label is not treated as a column (if faults are rare, both quartiles of the label are 1,
and every Faulty row would be removed), and by default no Faulty window is removed, because the model must
learn from the faults.
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from training.config.settings import FitSettings
from training.data.dataset import Dataset
from training.data.step_names import step_names

__all__ = ["BoxStats", "CleaningReport", "clean"]

# Maximum number of outliers drawn in a box plot, which keeps the report small.
_MAX_POINTS = 100


@dataclass(frozen=True, slots=True)
class BoxStats:
    """Statistics for the box plot of one column, in the feature's unit."""

    whisker_low: float
    """End of the lower whisker: the smallest value that is not an outlier."""
    q1: float
    median: float
    q3: float
    whisker_high: float
    """End of the upper whisker: the largest value that is not an outlier."""
    outliers: tuple[float, ...]
    """The outliers in ascending order; if there are more than 100, an evenly spaced selection of 100."""

    @classmethod
    def from_values(cls, values: FloatArray, factor: float) -> "BoxStats":
        """Compute the statistics of a column (window,) with at least one value."""
        q1, median, q3 = np.percentile(values, [25, 50, 75]).tolist()
        whisker_length = factor * (q3 - q1)
        # Never empty, because it contains the median.
        inside = (values >= q1 - whisker_length) & (values <= q3 + whisker_length)
        outliers = np.sort(values[~inside])
        shown_outliers = outliers[
            np.unique(np.linspace(0, len(outliers) - 1, _MAX_POINTS).astype(int))[: len(outliers)]
        ]
        return cls(
            float(values[inside].min()),
            q1,
            median,
            q3,
            float(values[inside].max()),
            tuple(shown_outliers.tolist()),
        )


@dataclass(frozen=True, slots=True)
class CleaningReport:
    """Numbers of checked and removed training windows, with box plots before and after the removal."""

    factor: float
    scope: str
    """The windows in scope, that is the checked windows: none ("off"), Normal windows ("normal") or "all"."""
    windows: int
    """Number of windows in scope."""
    outliers: dict[str, int]
    """Column name, such as "t0 temperature_1" for the oldest step -> number of windows with an outlier in
    this column."""
    removed: int
    """Number of removed windows: those in scope with an outlier in any column."""
    removed_faulty: int
    """Number of removed windows that are Faulty."""
    before: tuple[BoxStats, ...]
    """Box plot of each column of the windows in scope, before the removal: (column,). Empty if no window was
    in scope."""
    after: tuple[BoxStats, ...]
    """Box plot of each column of the windows in scope, after the removal: (column,)."""

    def as_dict(self) -> dict[str, object]:
        """Return the counts as a JSON-serialisable dict, for the manifest."""
        return {name: value for name, value in asdict(self).items() if name not in {"before", "after"}}


def clean(train: Dataset, settings: FitSettings) -> tuple[Dataset, CleaningReport]:
    """Remove the windows in scope that have an outlier; return the remaining windows and a report.

    The quartiles are computed from raw values and for each group separately, so the values of a group in a
    colder place are not outliers. A column with the same value in most windows of a group has an
    interquartile range of 0; its values are never treated as outliers.

    Parameters
    ----------
    train : the training set.
    settings : `cleaning_factor`, `cleaning_scope`, and what names the columns: `features` and `steps`.
    """
    columns = [f"{step} {name}" for step in step_names(settings.steps) for name in settings.feature_names]
    factor, scope = settings.cleaning_factor, settings.cleaning_scope
    in_scope = {
        "off": np.zeros(len(train), dtype=bool),
        "normal": ~train.faulty,
        "all": np.ones(len(train), dtype=bool),
    }[scope]
    flat = train.raw_windows.reshape(len(train), len(columns))  # (window, column)
    is_outlier = np.zeros_like(flat, dtype=bool)
    for series_id in np.unique(train.series_ids[in_scope]):
        rows = in_scope & (train.series_ids == series_id)
        is_outlier[rows] = _find_outliers(flat[rows], factor)
    removed = np.any(is_outlier, axis=1)  # (window,)
    report = CleaningReport(
        factor=factor,
        scope=scope,
        windows=int(in_scope.sum()),
        outliers=dict(zip(columns, is_outlier.sum(axis=0).tolist(), strict=True)),
        removed=int(removed.sum()),
        removed_faulty=int((removed & train.faulty).sum()),
        before=_compute_box_stats(flat[in_scope], factor),
        after=_compute_box_stats(flat[in_scope & ~removed], factor),
    )
    return train[~removed], report


def _find_outliers(flat: FloatArray, factor: float) -> NDArray[np.bool_]:
    """Return a mask of the values that are outliers in their column: (window, column)."""
    q1, q3 = np.percentile(flat, [25, 75], axis=0)  # (column,) each
    whisker_length = factor * (q3 - q1)
    is_outlier: NDArray[np.bool_] = ((flat < q1 - whisker_length) | (flat > q3 + whisker_length)) & (
        whisker_length > 0
    )
    return is_outlier


def _compute_box_stats(flat: FloatArray, factor: float) -> tuple[BoxStats, ...]:
    return tuple(BoxStats.from_values(column, factor) for column in flat.T) if len(flat) else ()
