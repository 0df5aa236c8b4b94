"""Tables on disk: the columns and the unparsed cells of CSV and Parquet files."""

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from monitor.core.errors import RecordingError

__all__ = ["ROWS_PER_BLOCK", "Table", "describe_delimiter"]

ROWS_PER_BLOCK = 4096

_OTHER_DELIMITERS = ";\t|"
_VALUE_COLUMNS = {"feature", "value"}


class Table:
    """The file of a recording.

    Parameters
    ----------
    path : a Parquet file if its name ends in `.parquet`, else a CSV file.

    Raises
    ------
    RecordingError : the file can't be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns = next(self._read_lines(), [])
        """Names of the columns in the file's order."""

    @property
    def has_single_values(self) -> bool:
        """Whether a row is one value of one feature, as the columns tell, and not a reading."""
        return set(self.columns) >= _VALUE_COLUMNS

    def require(self, names: Sequence[str], expected: str) -> None:
        """Raise an error unless the file has these columns.

        Parameters
        ----------
        expected : the columns that such a file has, for the message.

        Raises
        ------
        RecordingError : the first of the columns that is missing.
        """
        missing = [name for name in names if name not in self.columns]
        if missing:
            raise RecordingError(
                f"{self.path}: has no column {missing[0]!r}, expected {expected}"
                f"{describe_delimiter(self.columns)}"
            )

    def blocks(
        self, used: Sequence[str], rows_per_block: int | None = ROWS_PER_BLOCK
    ) -> Iterator[tuple[int, dict[str, Sequence[Any]]]]:
        """Yield (number of the first row, column -> cells), in blocks; row 1 follows the header.

        Parameters
        ----------
        used : names of the columns that may occur only once.
        rows_per_block : maximum number of rows in a block; None: all rows in one block.

        Raises
        ------
        RecordingError : a used column occurs twice, a row's number of cells differs from the header's, the
            file has no rows, or it can't be read to its end.
        """
        repeated = [name for name in used if self.columns.count(name) > 1]
        if repeated:
            raise RecordingError(f"{self.path}: has more than one column {repeated[0]!r}")
        lines = self._read_lines()
        next(lines)
        first_row = 1
        while rows := list(islice(lines, rows_per_block)):
            self._check_widths(rows, first_row)
            yield first_row, dict(zip(self.columns, zip(*rows, strict=True), strict=True))
            first_row += len(rows)
        if first_row == 1:
            raise RecordingError(f"{self.path}: has no readings, only a header")

    def _check_widths(self, rows: Sequence[Sequence[Any]], first_row: int) -> None:
        expected = len(self.columns)
        for number, cells in enumerate(rows, start=first_row):
            if len(cells) != expected:
                raise RecordingError(f"{self.path}: row {number} has {len(cells)} cells, expected {expected}")

    def _read_lines(self) -> Iterator[Sequence[Any]]:
        """Yield the cells of the header, then the cells of each row."""
        try:
            if self.path.suffix.lower() == ".parquet":
                yield from _read_parquet(self.path)
            else:
                with self.path.open(
                    newline="", encoding="utf-8-sig"
                ) as file:  # Excel writes a byte order mark
                    yield from filter(None, csv.reader(file))  # without blank lines
        except OSError as error:
            raise RecordingError(
                f"{self.path}: can't be read: {error.strerror or error}; expected a CSV or Parquet file"
            ) from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise RecordingError(f"{self.path}: is no CSV file: {error}") from error


def _read_parquet(path: Path) -> Iterator[Sequence[Any]]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - takes 100 MB of memory, so only if needed
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise RecordingError(f"{path}: Parquet needs pyarrow: install sensor-monitor[training]") from None
    try:
        file = parquet.ParquetFile(path)
        yield list(file.schema_arrow.names)
        for batch in file.iter_batches():
            yield from zip(*(_to_cells(column) for column in batch), strict=True)
    except pa.ArrowException as error:
        raise RecordingError(f"{path}: is no Parquet file: {error}") from error


def _to_cells(column: Any) -> list[Any]:
    """Return an Arrow array's values as Python objects, times rounded down to datetime's microseconds."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    cells: list[Any] = column.to_pylist()
    return cells


def describe_delimiter(columns: Sequence[str]) -> str:
    """Return a hint at another delimiter, if the header seems to have a single column that contains one."""
    found = [mark for mark in _OTHER_DELIMITERS if len(columns) == 1 and mark in columns[0]]
    return f"; the columns are separated by {found[0]!r} instead of ','" if found else ""
