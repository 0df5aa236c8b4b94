"""Reads recordings of single values: CSV or Parquet files with one value of one feature per row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.recordings.cells import (
    EXPECTED_GROUP,
    EXPECTED_TS,
    EXPECTED_VALUE,
    describe_cell,
    is_empty,
    parse_groups,
    parse_times,
    parse_values,
)
from monitor.recordings.reader import Recording
from monitor.recordings.table import Table

__all__ = ["VALUE_COLUMNS", "ValueBlock", "ValueRecording", "open_recording"]

VALUE_COLUMNS = ("ts", "topic", "group", "feature", "value", "arrived_at", "retained")
"""The columns that `sensor-monitor record --raw` writes; `topic`, `arrived_at`, `retained` may be missing."""

_REQUIRED_COLUMNS = ("ts", "group", "feature", "value")
_EXPECTED_COLUMNS = "ts,topic,group,feature,value[,arrived_at]"
_EXPECTED_FEATURE = "the name of a feature"
_TRUE_TEXTS = frozenset({"1", "1.0", "true", "True"})


@dataclass(frozen=True, slots=True)
class ValueBlock:
    """Consecutive values of a recording, in columns."""

    first_row: int
    """The number of the first value's row, counted from 1 without the header."""
    cells: dict[str, Sequence[Any]]
    """Column -> its unparsed cells in the file's order: text from CSV, values from Parquet."""
    ts: FloatArray
    """Event times, seconds since the Unix epoch; NaN where the cell is not a time: (value,)."""
    topics: list[str]
    """Topics that the values came by; "" where the file has none: (value,)."""
    groups: list[str]
    """Names of the groups; "" where the cell is empty: (value,)."""
    features: list[str]
    """Names of the features; "" where the cell is empty: (value,)."""
    values: FloatArray
    """The values; NaN where the cell is empty, which says that the sensor had none, or unusable: (value,)."""
    arrived_at: FloatArray
    """Arrival by the wall clock, seconds since the Unix epoch; inf if the file has none, NaN where the cell
    is not a time: (value,)."""
    retained: NDArray[np.bool_]
    """Whether the broker had kept the value: (value,)."""

    def find_invalid(self) -> list[int]:
        """Return the indices of the values with an invalid cell."""
        is_invalid = np.isnan(self.ts) | np.isnan(self.arrived_at)
        is_invalid |= np.array(
            [not (group and name) for group, name in zip(self.groups, self.features, strict=True)]
        )
        for index in np.flatnonzero(np.isnan(self.values)).tolist():
            is_invalid[index] |= not is_empty(self.cells["value"][index])
        invalid: list[int] = np.flatnonzero(is_invalid).tolist()
        return invalid

    def describe_problem(self, index: int) -> str:
        """Describe the first invalid cell of an invalid value: row, column, cell, rule."""
        if np.isnan(self.ts[index]):
            column, expected = "ts", EXPECTED_TS
        elif not self.groups[index]:
            column, expected = "group", EXPECTED_GROUP
        elif not self.features[index]:
            column, expected = "feature", _EXPECTED_FEATURE
        elif np.isnan(self.arrived_at[index]):
            column, expected = "arrived_at", EXPECTED_TS
        else:
            column, expected = "value", f"{EXPECTED_VALUE}, or nothing where the sensor had none"
        return describe_cell(self.first_row + index, column, self.cells[column][index], expected)


class ValueRecording:
    """A recording of single values on disk.

    Parameters
    ----------
    table : the file.

    Raises
    ------
    RecordingError : the file lacks a column.
    """

    def __init__(self, table: Table) -> None:
        table.require(_REQUIRED_COLUMNS, _EXPECTED_COLUMNS)
        self._table = table
        self.path = table.path
        self.has_arrivals = "arrived_at" in table.columns
        """Whether the file says when each value arrived."""

    def require_topics(self) -> None:
        """Raise an error unless the file says on which topic each value came.

        Raises
        ------
        RecordingError : it doesn't.
        """
        self._table.require(["topic"], _EXPECTED_COLUMNS)

    def blocks(self) -> Iterator[ValueBlock]:
        """Yield the values in the file's order, in blocks.

        Raises
        ------
        RecordingError : a column occurs twice, a row's number of cells differs from the header's, the file
            has no rows, or it can't be read to its end.
        """
        for first_row, cells in self._table.blocks(VALUE_COLUMNS):
            yield _parse_block(first_row, cells)


def open_recording(path: Path) -> Recording | ValueRecording:
    """Return the recording in a file: of readings, or of single values where its columns tell so.

    Raises
    ------
    RecordingError : the file can't be read, or lacks a column.
    """
    table = Table(path)
    return ValueRecording(table) if table.has_single_values else Recording(path)


def _parse_block(first_row: int, cells: dict[str, Sequence[Any]]) -> ValueBlock:
    count = len(cells["ts"])
    return ValueBlock(
        first_row=first_row,
        cells=cells,
        ts=parse_times(cells["ts"]),
        topics=parse_groups(cells["topic"]) if "topic" in cells else [""] * count,
        groups=parse_groups(cells["group"]),
        features=parse_groups(cells["feature"]),
        values=parse_values(cells["value"]),
        arrived_at=parse_times(cells["arrived_at"]) if "arrived_at" in cells else np.full(count, np.inf),
        retained=np.array(
            [str(cell) in _TRUE_TEXTS for cell in cells.get("retained", [""] * count)], np.bool_
        ),
    )
