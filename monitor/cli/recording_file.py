"""A recording that is being written: a CSV file that holds whole rows at any time."""

import csv
import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from monitor.core.errors import InvalidInputError, OperationError

__all__ = ["RecordingFile"]


class RecordingFile:
    """A new CSV file to which rows are appended, without buffering.

    Parameters
    ----------
    path : the file to create, with its folder; it must not exist and must end in `.csv`.

    Raises
    ------
    InvalidInputError : it exists, is not named as a CSV file, or can't be created.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() != ".csv":
            raise InvalidInputError(f"--out: {path} is no name of a CSV file; expected one that ends in .csv")
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb", buffering=0)
        except FileExistsError:
            raise InvalidInputError(f"--out: {path} is there already; expected a new name") from None
        except OSError as error:
            raise InvalidInputError(f"--out: {path} can't be made: {error.strerror}") from error
        self._size = 0  # bytes, all of them whole rows

    def append(self, rows: Sequence[Sequence[object]]) -> None:
        """Append these rows, or none of them.

        Raises
        ------
        OperationError : they can't be written; the file ends with the rows before them.
        """
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        rest = memoryview(text.getvalue().encode())
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._size)
            raise OperationError(f"{self._path}: can't be written: {error.strerror}") from error
        self._size = self._file.tell()

    def close(self, *, keep: bool) -> None:
        """Close the file, and delete it unless it is to be kept."""
        self._file.close()
        if not keep:
            self._path.unlink(missing_ok=True)
