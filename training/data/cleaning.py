"""Removes windows with outliers by interquartile range from the training part, and reports what it removed.

The rule is that of the original notebook: a value further than 1.5 interquartile ranges outside the quartiles
of its column is an outlier, and its row is removed. Two mistakes of the notebook are corrected: the label is
not treated as a column (if faults are rare, both its quartiles are 1, and every Faulty row would be removed),
and by default no Faulty window is removed, since a model can't learn faults that it doesn't see.
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from training.config.settings import FitSettings
from training.data.dataset import STEPS, Dataset
from training.data.features import FEATURE_NAMES

__all__ = ["COLUMNS", "BoxStats", "CleaningReport", "clean"]

COLUMNS = tuple(f"t{step} {name}" for step in range(STEPS) for name in FEATURE_NAMES)
"""The columns of a flat window."""

# A plot shows no more points than this, and the report must stay small.
_MAX_POINTS = 100


@dataclass(frozen=True, slots=True)
class BoxStats:
    """A box plot of one column, in the feature's unit."""

    whisker_low: float
    """End of the lower whisker: the smallest value that is no outlier."""
    q1: float
    median: float
    q3: float
    whisker_high: float
    """End of the upper whisker: the largest value that is no outlier."""
    outliers: tuple[float, ...]
    """The values beyond the whiskers, at most 100 of them, picked evenly, in ascending order."""

    @classmethod
    def from_values(cls, values: FloatArray, factor: float) -> "BoxStats":
        """Compute the box plot of a column (window,) with at least one value."""
        q1, median, q3 = np.percentile(values, [25, 50, 75]).tolist()
        whisker_length = factor * (q3 - q1)
        inside = (values >= q1 - whisker_length) & (values <= q3 + whisker_length)  # at least the median
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
    """The windows that cleaning removed from the training part."""

    factor: float
    scope: str
    """The windows in scope: none ("off"), the Normal ones ("normal"), or "all"."""
    windows: int
    """Number of windows in scope."""
    outliers: dict[str, int]
    """Column, as in `COLUMNS` -> number of windows with an outlier in it."""
    removed: int
    """Number of windows with an outlier in any column, all of them removed."""
    removed_faulty: int
    """Number of Faulty windows among them."""
    before: tuple[BoxStats, ...]
    """Each column of the windows in scope before the removal: (column,). Empty if no window was in scope."""
    after: tuple[BoxStats, ...]
    """The same after the removal."""

    def as_dict(self) -> dict[str, object]:
        """Return the counts as plain values, for the manifest."""
        return {name: value for name, value in asdict(self).items() if name not in {"before", "after"}}


def clean(train: Dataset, settings: FitSettings) -> tuple[Dataset, CleaningReport]:
    """Remove windows with an outlier, as the settings say, and report them.

    Quartiles are of raw values, for each group by itself: a group in a colder place is no outlier. A column
    with the same value in most windows of a group has an interquartile range of 0, and no outliers.

    Parameters
    ----------
    train : the training part.
    settings : `cleaning_factor` and `cleaning_scope`.
    """
    factor, scope = settings.cleaning_factor, settings.cleaning_scope
    in_scope = {
        "off": np.zeros(len(train), dtype=bool),
        "normal": ~train.faulty,
        "all": np.ones(len(train), dtype=bool),
    }[scope]
    flat = train.raw_windows.reshape(len(train), len(COLUMNS))  # (window, column)
    is_outlier = np.zeros_like(flat, dtype=bool)
    for series_id in np.unique(train.series_ids[in_scope]):
        rows = in_scope & (train.series_ids == series_id)
        is_outlier[rows] = _outlier_mask(flat[rows], factor)
    removed = np.any(is_outlier, axis=1)  # (window,)
    report = CleaningReport(
        factor=factor,
        scope=scope,
        windows=int(in_scope.sum()),
        outliers=dict(zip(COLUMNS, is_outlier.sum(axis=0).tolist(), strict=True)),
        removed=int(removed.sum()),
        removed_faulty=int((removed & train.faulty).sum()),
        before=_box_stats(flat[in_scope], factor),
        after=_box_stats(flat[in_scope & ~removed], factor),
    )
    return train[~removed], report


def _outlier_mask(flat: FloatArray, factor: float) -> NDArray[np.bool_]:
    """Return which values (window, column) are outliers in their column."""
    q1, q3 = np.percentile(flat, [25, 75], axis=0)  # (column,) each
    whisker_length = factor * (q3 - q1)
    outlier_mask: NDArray[np.bool_] = ((flat < q1 - whisker_length) | (flat > q3 + whisker_length)) & (
        whisker_length > 0
    )
    return outlier_mask


def _box_stats(flat: FloatArray, factor: float) -> tuple[BoxStats, ...]:
    return tuple(BoxStats.from_values(column, factor) for column in flat.T) if len(flat) else ()
