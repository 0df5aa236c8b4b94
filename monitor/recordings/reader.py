"""Reads recordings: readings in a file, one a row, CSV or Parquet."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.core.errors import RecordingError
from monitor.core.readings import is_readable
from monitor.core.times import parse_ts

__all__ = ["Recording", "RecordingRow"]

_REQUIRED_COLUMNS = ("ts", "group")
# The columns that say something about a reading and are not part of it.
_ANNOTATION_COLUMNS = {"label", "kind", "event"}
_FAULTY_LABEL = -1


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """One reading as the file has it."""

    ts_text: str
    ts: float | None
    """Seconds since the Unix epoch; None where the file has none that can be read."""
    group: str
    values: list[float | None]
    """The features in the recording's order; None where the file has no usable number."""
    is_faulty: bool
    """The label says so."""
    problem: str
    """What keeps it from being judged, with its row; "" if nothing does."""


class Recording:
    """A recording on disk.

    Parameters
    ----------
    path : a `.csv` or `.parquet` file.

    Raises
    ------
    RecordingError : the file can't be read, or has not the columns of a recording.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        columns = next(self._read_lines(), [])
        missing = [name for name in _REQUIRED_COLUMNS if name not in columns]
        if missing:
            raise RecordingError(
                f"{path}: has no column {missing[0]!r}, expected ts,group,<features>[,label]"
            )
        self._columns = columns
        self.features = [name for name in columns if name not in _ANNOTATION_COLUMNS | set(_REQUIRED_COLUMNS)]

    def rows(self, features: list[str] | None = None) -> Iterator[RecordingRow]:
        """Yield each reading in the file's order.

        Parameters
        ----------
        features : which values, in this order; all of them by default.

        Raises
        ------
        RecordingError : a feature has no column, or a row has another number of cells than the header.
        """
        columns = self._columns
        missing = [name for name in features or [] if name not in columns]
        if missing:
            raise RecordingError(f"{self.path}: has no column {missing[0]!r}, which the bundle's model needs")
        value_columns = [columns.index(name) for name in features or self.features]
        ts_column, group_column = columns.index("ts"), columns.index("group")
        label_column = columns.index("label") if "label" in columns else None
        lines = self._read_lines()
        next(lines)
        for number, cells in enumerate(lines, start=1):
            if len(cells) != len(columns):
                raise RecordingError(
                    f"{self.path}: row {number} has {len(cells)} cells, expected {len(columns)}"
                )
            seconds = _parse_ts_cell(cells[ts_column])
            values = [_parse_value(cells[value_column]) for value_column in value_columns]
            invalid_columns = (
                [ts_column]
                if seconds is None
                else [
                    value_column
                    for value_column, value in zip(value_columns, values, strict=True)
                    if value is None
                ]
            )
            yield RecordingRow(
                ts_text=str(cells[ts_column]),
                ts=seconds,
                group=str(cells[group_column]),
                values=values,
                is_faulty=label_column is not None and _parse_value(cells[label_column]) == _FAULTY_LABEL,
                problem=f"row {number}: {columns[invalid_columns[0]]} is {cells[invalid_columns[0]]!r}"
                if invalid_columns
                else "",
            )

    def _read_lines(self) -> Iterator[list[Any]]:
        """Yield the header, then each row's cells."""
        try:
            if self.path.suffix == ".parquet":
                yield from _read_parquet(self.path)
            else:
                with self.path.open(newline="", encoding="utf-8-sig") as file:  # Excel writes a mark first
                    yield from filter(None, csv.reader(file))  # a blank line is no reading
        except OSError as error:
            raise RecordingError(
                f"{self.path}: can't be read: {error.strerror or error}; expected a CSV or Parquet file"
            ) from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise RecordingError(f"{self.path}: is no CSV file: {error}") from error


def _read_parquet(path: Path) -> Iterator[list[Any]]:
    try:
        import pyarrow as pa  # noqa: PLC0415, 100 MB that a monitor seldom needs
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise RecordingError(f"{path}: Parquet needs pyarrow: install sensor-monitor[training]") from None
    try:
        file = parquet.ParquetFile(path)
        yield list(file.schema_arrow.names)
        for batch in file.iter_batches():
            yield from (list(cells) for cells in zip(*(column.to_pylist() for column in batch), strict=True))
    except pa.ArrowInvalid as error:
        raise RecordingError(f"{path}: is no Parquet file: {error}") from error


def _parse_value(cell: Any) -> float | None:
    """Return a cell as a value that the decode stage would let through, else None."""
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if is_readable(value) else None


def _parse_ts_cell(cell: Any) -> float | None:
    """Return a cell of `ts` as seconds; in a CSV every number stands without quotes' meaning."""
    try:
        return parse_ts(float(cell))
    except (TypeError, ValueError):
        pass
    try:
        return parse_ts(str(cell))
    except ValueError:
        return None
