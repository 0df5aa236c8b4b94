"""Reads the rows of CSV files, in batches of bounded size."""

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

from monitor.core.errors import RecordingError
from monitor.recordings.bounds import MAX_BLOCK_CELLS, MAX_BLOCK_TEXT, MAX_ROW_TEXT, check_columns, check_file

__all__ = ["read_csv"]


def read_csv(path: Path, rows_per_batch: int) -> Iterator[list[list[str]]]:
    """Yield batches of rows, the first of which is the header.

    Parameters
    ----------
    rows_per_batch : largest number of rows; of rows with many cells or much text, a batch has fewer.

    Raises
    ------
    OSError : the file can't be read.
    RecordingError : it is no CSV file, or a row is too long.
    """
    check_file(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # Excel writes a byte order mark
            lines = _Lines(path, file)
            rows = _rows(path, lines)
            yield list(islice(rows, 1))
            batch: list[list[str]] = []
            cells = 0
            for row in rows:
                batch.append(row)
                cells += len(row)
                if (
                    len(batch) >= rows_per_batch
                    or cells >= MAX_BLOCK_CELLS
                    or lines.batch_length >= MAX_BLOCK_TEXT
                ):
                    yield batch
                    batch, cells, lines.batch_length = [], 0, 0
            if batch:
                yield batch
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f"{path}: is no CSV file: {error}") from error


def _rows(path: Path, lines: "_Lines") -> Iterator[list[str]]:
    """Yield the cells of each row; blank lines are left out."""
    for row in csv.reader(lines):
        lines.start_row()
        if row:
            check_columns(path, len(row))
            yield row


class _Lines:
    """The lines of a file, with a bound on those of one row, which may have line ends in quotes."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self._path = path
        self._file = file
        self._row_length = 0
        self.batch_length = 0
        """Characters read since it was set to 0."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        # An unbounded line would be read into memory as a whole.
        line = self._file.readline(MAX_ROW_TEXT + 1)
        if not line:
            raise StopIteration
        self._row_length += len(line)
        self.batch_length += len(line)
        if self._row_length > MAX_ROW_TEXT:
            raise RecordingError(
                f"{self._path}: a row has more than {MAX_ROW_TEXT:,} characters, expected a recording's row"
            )
        return line

    def start_row(self) -> None:
        """Count the characters of the next row."""
        self._row_length = 0
