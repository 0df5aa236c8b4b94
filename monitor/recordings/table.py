"""Tables on disk: the columns and the unparsed cells of CSV and Parquet files."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from monitor.core.errors import RecordingError
from monitor.recordings.bounds import MAX_CELLS, MAX_CELLS_AT_ONCE, check_cells
from monitor.recordings.csv_rows import read_csv
from monitor.recordings.csv_text import restore_cells
from monitor.recordings.parquet_rows import read_parquet

__all__ = ["ROWS_PER_BLOCK", "Table", "describe_delimiter"]

ROWS_PER_BLOCK = 4096

_OTHER_DELIMITERS = ";\t|"
_VALUE_COLUMNS = {"feature", "value"}
_TEXT_COLUMNS = {"topic", "group", "feature"}
_Rows = Sequence[Sequence[Any]]


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
        header = [name for row in next(self._read(ROWS_PER_BLOCK)) for name in row]
        self.columns = list(restore_cells(header)) if self._is_csv else header
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
        limit = MAX_CELLS_AT_ONCE if rows_per_block is None else MAX_CELLS
        batches = self._checked_batches(rows_per_block or ROWS_PER_BLOCK, limit)
        blocks = batches if rows_per_block else filter(None, [list(chain.from_iterable(batches))])
        first_row = 1
        for rows in blocks:
            yield first_row, self._to_columns(rows)
            first_row += len(rows)
        if first_row == 1:
            raise RecordingError(f"{self.path}: has no readings, only a header")

    def _checked_batches(self, rows_per_batch: int, limit: int) -> Iterator[_Rows]:
        """Yield the rows after the header, each with as many cells as it.

        Parameters
        ----------
        limit : cells that the file may have.
        """
        batches = self._read(rows_per_batch)
        next(batches)
        first_row, width = 1, len(self.columns)
        for rows in batches:
            for number, cells in enumerate(rows, start=first_row):
                if len(cells) != width:
                    raise RecordingError(
                        f"{self.path}: row {number} has {len(cells)} cells, expected {width}"
                    )
            first_row += len(rows)
            check_cells(self.path, first_row * width, limit)
            yield rows

    def _to_columns(self, rows: _Rows) -> dict[str, Sequence[Any]]:
        columns = dict(zip(self.columns, zip(*rows, strict=True), strict=True))
        if self._is_csv:
            columns.update({name: restore_cells(columns[name]) for name in _TEXT_COLUMNS & columns.keys()})
        return columns

    @property
    def _is_csv(self) -> bool:
        return self.path.suffix.lower() != ".parquet"

    def _read(self, rows_per_batch: int) -> Iterator[_Rows]:
        """Yield the header as a batch of its own, which is empty for an empty file, then batches of rows."""
        try:
            yield from (read_csv if self._is_csv else read_parquet)(self.path, rows_per_batch)
        except OSError as error:
            raise RecordingError(
                f"{self.path}: can't be read: {error.strerror or error}; expected a CSV or Parquet file"
            ) from error


def describe_delimiter(columns: Sequence[str]) -> str:
    """Return a hint at another delimiter, if the header seems to have a single column that contains one."""
    found = [mark for mark in _OTHER_DELIMITERS if len(columns) == 1 and mark in columns[0]]
    return f"; the columns are separated by {found[0]!r} instead of ','" if found else ""
