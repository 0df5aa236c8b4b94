"""Writes the readings around false alarms to a CSV file with the label Normal, for training."""

import csv
import io
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from monitor.core.atomic_write import sync_to_disk
from monitor.core.private_files import make_private_folder, open_private
from monitor.core.verdicts import AlertEvent
from monitor.groups.reading_history import ReadingsAround
from monitor.recordings.csv_text import escape_cell, to_csv

__all__ = ["FalseAlarmFile", "append_in_background"]

_NORMAL_LABEL = "1"


class FalseAlarmFile:
    """Appends the readings around each false alarm: a row a reading, the oldest first.

    The columns are those of a recording, with the incident's id in front. The id is percent-encoded, as in a
    URL, and so is a group whose name has line ends or other control characters: a row is one line, so that a
    half one can be recognised after a power cut.

    Parameters
    ----------
    path : the file, which is created when the first row is written.
    features : names of the features, in the bundle's order.
    """

    def __init__(self, path: Path, features: Sequence[str]) -> None:
        self.path = path
        self._columns = len(features) + 4
        self._header = to_csv([["incident", "ts", "group", *features, "label"]]).encode()

    def append(self, event: AlertEvent, readings: ReadingsAround) -> bool:
        """Write an incident's readings to the disk; return False if the file already contains the incident.

        The whole file is read, and it is synced, which takes milliseconds to seconds, depending on disk and
        file size.

        Parameters
        ----------
        event : the first event of the incident.
        readings : the readings around its beginning.

        Raises
        ------
        OSError : the file can't be read or written; it is unchanged.
        ValueError : the file has other columns.
        """
        incident, group = _encode(event.id), event.group
        if not group.isprintable():
            group = _encode(group)
        rows = to_csv(
            [incident, ts, group, *values, _NORMAL_LABEL]
            for ts, values in zip(readings.ts.tolist(), readings.values.tolist(), strict=True)
        ).encode()
        make_private_folder(self.path.parent)
        with open(self.path, "a+b", buffering=0, opener=open_private) as file:
            file.seek(0)
            content = file.readall()
            header = content.partition(b"\n")[0].rstrip(b"\r")
            if content and header != self._header.rstrip(b"\n"):
                raise ValueError(
                    f"begins with {header.decode(errors='replace')[:200]!r}; expected the columns "
                    f"{self._header.decode().strip()}, or no such file"
                )
            complete_length, line_end = _complete_rows(content, self._columns)
            if f"\n{escape_cell(incident)},".encode() in content[:complete_length]:
                file.truncate(complete_length)
                return False
            try:
                file.truncate(complete_length)
                _write(file, line_end + rows if content else self._header + rows)
            except OSError:
                with suppress(OSError):
                    file.truncate(len(content))
                raise
        if not content:
            sync_to_disk(self.path.parent)
        return True


def append_in_background(
    file: FalseAlarmFile, event: AlertEvent, readings: ReadingsAround, on_done: Callable[[], None]
) -> "Future[bool]":
    """Call `file.append(event, readings)` on a separate thread; return a future with the result or the error.

    Parameters
    ----------
    on_done : called on the separate thread when the future is done.
    """
    result: Future[bool] = Future()

    def append() -> None:
        try:
            result.set_result(file.append(event, readings))
        except BaseException as error:  # noqa: BLE001, raised when the result is read
            result.set_exception(error)
        on_done()

    # A daemon thread: a disk that hangs must not keep the process alive.
    threading.Thread(target=append, name="false alarm", daemon=True).start()
    return result


def _encode(name: str) -> str:
    return quote(name, safe="/:")


def _complete_rows(content: bytes, columns: int) -> tuple[int, bytes]:
    """Return the length in bytes of all complete rows, and the line end if the last complete row lacks it.

    A power cut may leave part of a row, and an editor a complete last row without a line end.
    """
    last = content.rpartition(b"\n")[2]
    if not last:
        return len(content), b""
    cells = next(csv.reader([last.decode(errors="replace")]), [])
    if len(cells) == columns and cells[-1]:
        return len(content), b"\n"
    return len(content) - len(last), b""


def _write(file: io.FileIO, data: bytes) -> None:
    if file.write(data) != len(data):
        raise OSError("no room for the rows")
    os.fsync(file.fileno())
