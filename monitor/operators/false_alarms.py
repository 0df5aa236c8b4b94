"""Writes the windows of false alarms to a CSV file with the label Normal, for training."""

import csv
import io
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from monitor.core.atomic_write import sync_to_disk
from monitor.core.verdicts import AlertEvent

__all__ = ["FalseAlarmFile", "append_in_background"]

_NORMAL_LABEL = "1"


class FalseAlarmFile:
    """Appends a row for each false alarm: incident, time, values of the window, label.

    The values of the oldest reading come first.

    The incident's id is percent-encoded, as in a URL, so that a group's name can't contain a delimiter, or be
    interpreted as a formula by a spreadsheet program.

    Parameters
    ----------
    path : the file, which is created when the first row is written.
    features, steps : the shape of the windows.
    """

    def __init__(self, path: Path, features: Sequence[str], steps: int) -> None:
        self.path = path
        flat = [f"t{step}_{name}" for step in range(steps) for name in features]
        self._header = _csv_row(["incident", "ts", *flat, "Label"])

    def append(self, event: AlertEvent) -> bool:
        """Write an incident's window to the disk; return False if the file already contains the incident.

        The whole file is read, and it is synced, which takes milliseconds to seconds, depending on disk and
        file size.

        Parameters
        ----------
        event : the first event of the incident.

        Raises
        ------
        OSError : the file can't be read or written; it is unchanged.
        ValueError : the file has other columns.
        """
        incident = quote(event.id, safe="/:")
        values = [value for step in event.window_values for value in step]
        row = _csv_row([incident, event.window_ts[-1], *values, _NORMAL_LABEL])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b", buffering=0) as file:
            file.seek(0)
            content = file.readall()
            header = content.partition(b"\n")[0].rstrip(b"\r")
            if content and header != self._header.rstrip(b"\n"):
                raise ValueError(
                    f"begins with {header.decode(errors='replace')[:200]!r}; expected the columns "
                    f"{self._header.decode().strip()}"
                )
            complete_length, line_end = _complete_rows(content, row.count(b","))
            if f"\n{incident},".encode() in content[:complete_length]:
                return False
            try:
                file.truncate(complete_length)
                _write(file, line_end + row if content else self._header + row)
            except OSError:
                with suppress(OSError):
                    file.truncate(len(content))
                raise
        if not content:
            sync_to_disk(self.path.parent)
        return True


def append_in_background(
    file: FalseAlarmFile, event: AlertEvent, on_done: Callable[[], None]
) -> "Future[bool]":
    """Call `file.append(event)` on a separate thread; return a future with the result or the error.

    Parameters
    ----------
    on_done : called on the separate thread when the future is done.
    """
    result: Future[bool] = Future()

    def append() -> None:
        try:
            result.set_result(file.append(event))
        except BaseException as error:  # noqa: BLE001, raised when the result is read
            result.set_exception(error)
        on_done()

    # A daemon thread: a disk that hangs must not keep the process alive.
    threading.Thread(target=append, name="false alarm", daemon=True).start()
    return result


def _csv_row(cells: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _complete_rows(content: bytes, comma_count: int) -> tuple[int, bytes]:
    """Return the length in bytes of all complete rows, and the line end if the last complete row lacks it.

    A power cut may leave part of a row, and an editor a complete last row without a line end.
    """
    last = content.rpartition(b"\n")[2]
    if not last:
        return len(content), b""
    if last.count(b",") == comma_count and not last.endswith(b","):
        return len(content), b"\n"
    return len(content) - len(last), b""


def _write(file: io.FileIO, data: bytes) -> None:
    if file.write(data) != len(data):
        raise OSError("no room for the row")
    os.fsync(file.fileno())
