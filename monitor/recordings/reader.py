"""Reads recordings: CSV or Parquet files with one reading per row."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.errors import RecordingError
from monitor.recordings.cells import (
    EXPECTED_GROUP,
    EXPECTED_LABEL,
    EXPECTED_TS,
    EXPECTED_VALUE,
    FAULTY_LABEL,
    describe_cell,
    is_empty,
    parse_groups,
    parse_labels,
    parse_times,
    parse_values,
)
from monitor.recordings.table import ROWS_PER_BLOCK, Table

__all__ = ["Recording", "RecordingBlock", "RecordingRow"]

_REQUIRED_COLUMNS = ("ts", "group")
# Columns that describe a reading and are not features.
_ANNOTATION_COLUMNS = {"label", "kind", "event"}


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """One row of a recording: a reading, which may be invalid."""

    ts_text: str
    ts: float | None
    """Seconds since the Unix epoch; None where the cell is not a time."""
    group: str
    values: list[float | None]
    """The features in the requested order; None where the cell is not a usable number."""
    is_faulty: bool
    """Whether the reading has the label Faulty."""
    problem: str
    """Why the reading can't be judged: row, column, cell, and expected content; "" if it can."""


@dataclass(frozen=True, slots=True)
class RecordingBlock:
    """Consecutive readings of a recording, in columns."""

    first_row: int
    """The number of the first reading's row, counted from 1 without the header."""
    cells: dict[str, Sequence[Any]]
    """Column -> its unparsed cells in the file's order: text from CSV, values from Parquet."""
    features: Sequence[str]
    """Names of the columns in `values`, in order."""
    ts: FloatArray
    """Event times, seconds since the Unix epoch; NaN where the cell is not a time: (reading,)."""
    groups: list[str]
    """Names of the groups; "" where the cell is empty: (reading,)."""
    values: FloatArray
    """Values; NaN where the cell is empty or not a usable number: (reading, feature)."""
    labels: NDArray[np.int8]
    """1 Normal, -1 Faulty, 0 where the cell is neither or there is no column `label`: (reading,)."""

    def find_incomplete(self) -> NDArray[np.intp]:
        """Return the indices of the readings that can't be judged: (incomplete reading,)."""
        return np.flatnonzero(self._has_no_time_or_group() | np.isnan(self.values).any(axis=1))

    def find_invalid(self) -> NDArray[np.intp]:
        """Return the indices of the readings with an invalid cell: (invalid reading,).

        An empty cell of a feature is valid: it is a missing value.
        """
        is_invalid = self._has_no_time_or_group()
        if "label" in self.cells:
            is_invalid |= self.labels == 0
        for index, feature in zip(*np.nonzero(np.isnan(self.values)), strict=True):
            is_invalid[index] |= not is_empty(self.cells[self.features[feature]][index])
        return np.flatnonzero(is_invalid)

    def describe_problem(self, index: int, *, ignore_empty: bool = False) -> str:
        """Describe the first problem of an incomplete or invalid reading: row, column, cell, rule.

        Parameters
        ----------
        ignore_empty : whether to ignore empty cells of features, for a reading from `find_invalid`. Otherwise
            an empty cell is described if no other cell is invalid.
        """
        unusable = [
            name
            for name, is_unusable in zip(self.features, np.isnan(self.values[index]).tolist(), strict=True)
            if is_unusable
        ]
        empty = [name for name in unusable if is_empty(self.cells[name][index])]
        invalid = [name for name in unusable if name not in empty]
        if np.isnan(self.ts[index]):
            column, expected = "ts", EXPECTED_TS
        elif not self.groups[index]:
            column, expected = "group", EXPECTED_GROUP
        elif invalid or (empty and not ignore_empty):
            column, expected = (invalid or empty)[0], EXPECTED_VALUE
        else:
            column, expected = "label", EXPECTED_LABEL
        return describe_cell(self.first_row + index, column, self.cells[column][index], expected)

    def _has_no_time_or_group(self) -> NDArray[np.bool_]:
        return np.isnan(self.ts) | np.array([not group for group in self.groups], dtype=np.bool_)


class Recording:
    """A recording on disk.

    Parameters
    ----------
    path : a Parquet file if its name ends in `.parquet`, else a CSV file.

    Raises
    ------
    RecordingError : the file can't be read, lacks the column `ts` or `group`, or has one value a row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._table = Table(path)
        self._table.require(_REQUIRED_COLUMNS, "ts,group,<features>[,label]")
        if self._table.has_single_values:
            raise RecordingError(
                f"{path}: has one value a row (columns feature and value), expected one reading a row: "
                "`sensor-monitor record` without --raw writes such a file, and `sensor-monitor backtest` and "
                "`replay` take this one"
            )
        self._columns = self._table.columns
        self.features = [
            name for name in self._columns if name not in _ANNOTATION_COLUMNS | set(_REQUIRED_COLUMNS)
        ]

    def rows(self, features: Sequence[str] | None = None) -> Iterator[RecordingRow]:
        """Yield each reading in the file's order.

        Parameters
        ----------
        features : names of the features to return, in this order; None: all features.

        Raises
        ------
        RecordingError : see `blocks`.
        """
        for block in self.blocks(features):
            incomplete = set(block.find_incomplete().tolist())
            columns = zip(
                block.cells["ts"],
                block.ts.tolist(),
                block.groups,
                block.values.tolist(),
                (block.labels == FAULTY_LABEL).tolist(),
                strict=True,
            )
            for index, (cell, ts, group, values, is_faulty) in enumerate(columns):
                if index in incomplete:
                    yield RecordingRow(
                        ts_text=str(cell),
                        ts=_nan_to_none(ts),
                        group=group,
                        values=[_nan_to_none(value) for value in values],
                        is_faulty=is_faulty,
                        problem=block.describe_problem(index),
                    )
                else:
                    yield RecordingRow(str(cell), ts, group, values, is_faulty, problem="")

    def read(self, features: Sequence[str] | None = None) -> RecordingBlock:
        """Return all readings as one block; see `blocks`."""
        (block,) = self.blocks(features, rows_per_block=None)
        return block

    def blocks(
        self, features: Sequence[str] | None = None, rows_per_block: int | None = ROWS_PER_BLOCK
    ) -> Iterator[RecordingBlock]:
        """Yield the readings in the file's order, in blocks.

        Parameters
        ----------
        features : names of the features to return, in this order; None: all features.
        rows_per_block : maximum number of rows in a block; None: all rows in one block.

        Raises
        ------
        RecordingError : a feature has no column or more than one, a row's number of cells differs from the
            header's, the file has no readings, or the file can't be read to its end.
        """
        features = self.features if features is None else features
        missing = [name for name in features if name not in self._columns]
        if missing:
            raise RecordingError(
                f"{self.path}: has no column {missing[0]!r}, which the bundle's model needs; "
                f"expected ts,group,{','.join(features)}[,label]"
            )
        for first_row, cells in self._table.blocks([*_REQUIRED_COLUMNS, "label", *features], rows_per_block):
            yield _parse_block(cells, first_row, features)


def _parse_block(cells: dict[str, Sequence[Any]], first_row: int, features: Sequence[str]) -> RecordingBlock:
    readings = len(cells["ts"])
    columns = [parse_values(cells[name]) for name in features]
    return RecordingBlock(
        first_row=first_row,
        cells=cells,
        features=features,
        ts=parse_times(cells["ts"]),
        groups=parse_groups(cells["group"]),
        values=np.column_stack(columns) if columns else np.empty((readings, 0)),
        labels=parse_labels(cells["label"]) if "label" in cells else np.zeros(readings, dtype=np.int8),
    )


def _nan_to_none(value: float) -> float | None:
    return None if math.isnan(value) else value
