"""A file to which lines are appended on a thread of its own, for records that must not get lost unnoticed."""

import logging
import os
import stat
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

__all__ = ["AuditFile", "check_audit_file"]

_log = logging.getLogger(__name__)

# Bytes that may wait while the disk is full or doesn't answer: some 10,000 records.
_MAX_WAITING_BYTES = 4 << 20
# Seconds between two attempts to write.
_RETRY_INTERVAL_S = 1.0
# Without O_NONBLOCK, opening a pipe that nobody reads would wait for ever.
_OPEN_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MODE = 0o600


class AuditFile:
    """Appends lines, each synced to the disk, without making the caller wait for it.

    While the file can't be written the lines wait, the log says so, and judging goes on. Beyond 4 MiB that
    wait, lines are dropped and counted. A file that was renamed or deleted (logrotate) is created again.

    Parameters
    ----------
    path : the file; created if it does not exist, for this user alone.
    on_dropped : called for each line that is dropped.

    Raises
    ------
    OSError : the file can't be opened.
    """

    def __init__(self, path: Path, on_dropped: Callable[[], None] = lambda: None) -> None:
        self._path = path
        self._on_dropped = on_dropped
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = _open(path)
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._is_closed = False
        self.problem = ""
        """Why the file can't be written, as text for users; "" if it can."""
        # A daemon thread: a disk that hangs must not keep the process alive.
        self._thread = threading.Thread(target=self._write_lines, name="audit", daemon=True)
        self._thread.start()

    def append(self, line: str) -> None:
        """Append a line, given without its line end; any thread may call this."""
        encoded = line.encode() + b"\n"
        with self._changed:
            if self._waiting_bytes + len(encoded) > _MAX_WAITING_BYTES:
                self._on_dropped()
                return
            self._lines.append(encoded)
            self._waiting_bytes += len(encoded)
            self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Accept no more lines, and wait at most `timeout` seconds until those that wait are written."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(timeout)

    def _write_lines(self) -> None:
        try:
            while self._write_next():
                pass
        finally:
            os.close(self._descriptor)

    def _write_next(self) -> bool:
        """Write the lines that wait, or wait for some; return False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._is_closed)
            lines = list(self._lines)
        if not lines:
            return False
        problem = self._write(b"".join(lines))
        if problem:
            if problem != self.problem:
                _log.error(
                    "operators.audit_file: %s: %s; requests are done, their records wait", self._path, problem
                )
            self.problem = problem
            with self._changed:
                return not self._changed.wait_for(lambda: self._is_closed, _RETRY_INTERVAL_S)
        if self.problem:
            _log.info("operators.audit_file: %s can be written again", self._path)
        self.problem = ""
        with self._changed:
            for line in lines:
                self._lines.popleft()
                self._waiting_bytes -= len(line)
        return True

    def _write(self, data: bytes) -> str:
        """Write and sync all of the data, or none of it; return the problem, "" if there is none."""
        try:
            if _is_replaced(self._descriptor, self._path):
                descriptor = _open(self._path)
                os.close(self._descriptor)
                self._descriptor = descriptor
            _append(self._descriptor, data)
        except OSError as error:
            return error.strerror or str(error)
        return ""


def check_audit_file(path: Path) -> None:
    """Check that `AuditFile` could open a file, and leave all as it is.

    Raises
    ------
    OSError : it couldn't.
    """
    try:
        descriptor = os.open(path, _OPEN_FLAGS & ~os.O_CREAT)
    except FileNotFoundError:
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        TemporaryFile(dir=folder).close()  # root may write anywhere by its rights, and yet not in /proc
        return
    try:
        _check_is_regular(descriptor)
    finally:
        os.close(descriptor)


def _check_is_regular(descriptor: int) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError("is no regular file")


def _open(path: Path) -> int:
    """Open a regular file to append to it; complete its last line."""
    descriptor = os.open(path, _OPEN_FLAGS, _MODE)
    try:
        _check_is_regular(descriptor)
    except OSError:
        os.close(descriptor)
        raise
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        with suppress(OSError):  # where the disk is full the next attempt comes with the next record
            os.write(descriptor, b"\n")  # the process was killed, or the power failed, within a line
    return descriptor


def _append(descriptor: int, data: bytes) -> None:
    """Write and sync all of the data; raise an OSError and leave the file as it was if that is impossible."""
    size = os.fstat(descriptor).st_size
    try:
        written = os.write(descriptor, data)
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    if written != len(data):
        os.ftruncate(descriptor, size)
        raise OSError("no room for a record")


def _is_replaced(descriptor: int, path: Path) -> bool:
    """Return whether the path no longer leads to the open file."""
    try:
        return not os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return True
