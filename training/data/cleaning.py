"""Outliers by interquartile range: which windows of the training part they cost, and what that changed.

The rule is the notebook's: a value is an outlier where it is further than 1.5 interquartile ranges outside
the quartiles of its column, and its row goes. What is mended: the label is no column here (where faults are
rare its quartiles are equal, and every Faulty row would go), and by default no Faulty window goes, for a
model can't learn faults that were taken out.
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from training.config.settings import FitSettings
from training.data.dataset import STEPS, Dataset
from training.data.recordings import FEATURE_NAMES

__all__ = ["COLUMNS", "BoxStats", "CleaningReport", "clean"]

COLUMNS = tuple(f"t{step} {name}" for step in range(STEPS) for name in FEATURE_NAMES)
"""The columns of a flat window."""

# A picture shows no more points than this, and the report is no place for a recording.
_MAX_POINTS = 100


@dataclass(frozen=True, slots=True)
class BoxStats:
    """What a box plot shows of one column, in the feature's unit."""

    whisker_low: float
    """Where the lower whisker ends: the least value that is no outlier."""
    q1: float
    median: float
    q3: float
    whisker_high: float
    """Where the upper whisker ends: the greatest value that is no outlier."""
    outliers: tuple[float, ...]
    """The values beyond the whiskers, at most 100 of them, evenly picked from least to greatest."""

    @classmethod
    def from_values(cls, values: FloatArray, factor: float) -> "BoxStats":
        """Learn it from a column (window,), at least one value."""
        q1, median, q3 = np.percentile(values, [25, 50, 75]).tolist()
        whisker_length = factor * (q3 - q1)
        inside = (values >= q1 - whisker_length) & (values <= q3 + whisker_length)  # the median at least
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
    """What the cleaning of the training part took away."""

    factor: float
    scope: str
    """Which windows were looked at: "off", "normal" or "all"."""
    windows: int
    """Windows that were looked at."""
    outliers: dict[str, int]
    """Column, as in `COLUMNS` -> windows with an outlier in it."""
    removed: int
    """Windows with an outlier in any column; they are gone."""
    removed_faulty: int
    """How many of those are Faulty."""
    before: tuple[BoxStats, ...]
    """Each column of what was looked at, before: (column,). Empty where nothing was looked at."""
    after: tuple[BoxStats, ...]
    """The same without what was removed."""

    def as_dict(self) -> dict[str, object]:
        """Return the counts as plain values, for the manifest."""
        return {name: value for name, value in asdict(self).items() if name not in {"before", "after"}}


def clean(train: Dataset, settings: FitSettings) -> tuple[Dataset, CleaningReport]:
    """Remove windows with an outlier, as the settings say, and report it.

    Quartiles are of raw values and each group's own: a group in a colder place is no outlier. A column that
    is the same in most windows of a group has no interquartile range to measure by, and no outliers.
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
    """Return which values (window, column) are outliers of their column."""
    q1, q3 = np.percentile(flat, [25, 75], axis=0)  # (column,) each
    whisker_length = factor * (q3 - q1)
    outlier_mask: NDArray[np.bool_] = ((flat < q1 - whisker_length) | (flat > q3 + whisker_length)) & (
        whisker_length > 0
    )
    return outlier_mask


def _box_stats(flat: FloatArray, factor: float) -> tuple[BoxStats, ...]:
    return tuple(BoxStats.from_values(column, factor) for column in flat.T) if len(flat) else ()
