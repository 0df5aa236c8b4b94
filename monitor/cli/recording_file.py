"""Writes a recording: a CSV file that has only complete rows at any time."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from monitor.core.errors import InvalidInputError, OperationError
from monitor.recordings.csv_text import to_csv

__all__ = ["RecordingFile"]


class RecordingFile:
    """A new CSV file to which rows are appended, without buffering.

    Parameters
    ----------
    path : the file to create, with its folder; it must not exist and must end in `.csv`.

    Raises
    ------
    InvalidInputError : the file exists or can't be created, or its name does not end in `.csv`.
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
        self._size = 0  # length of the file in bytes; it ends with a complete row

    def append(self, rows: Sequence[Sequence[object]]) -> None:
        """Append rows; after an error none of them is in the file.

        Raises
        ------
        OperationError : the rows can't be written; the file has only the earlier rows.
        """
        rest = memoryview(to_csv(rows).encode())
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._size)
            raise OperationError(f"{self._path}: can't be written: {error.strerror}") from error
        self._size = self._file.tell()

    def close(self, *, keep: bool) -> None:
        """Close the file, and delete it unless `keep` is true."""
        self._file.close()
        if not keep:
            self._path.unlink(missing_ok=True)
