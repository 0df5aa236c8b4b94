"""A log handler that never waits for whoever reads the log."""

import logging
import os
import select
import threading
from collections import deque

__all__ = ["BoundedLogHandler"]

# Bytes of formatted lines that may wait: about 8,000 lines, a minute of a plant-wide fault.
_MAX_WAITING_BYTES = 1 << 20
# Bytes that are written at a time: what a pipe holds on Linux. Writing line by line would take the
# interpreter's lock once for each line, and a busy pipeline gives it away only every 5 ms.
_MAX_WRITE_BYTES = 1 << 16
# Seconds that the end of the process waits for lines to be written.
_FLUSH_TIMEOUT_S = 1.0
# Seconds between two attempts to write to a full disk, or to a pipe whose reader has ended.
_RETRY_INTERVAL_S = 1.0
_DROPPED = "{} log lines were dropped: nobody read the log, or it couldn't be written"


class BoundedLogHandler(logging.Handler):
    """Writes log lines to a file descriptor on a thread of its own, from a queue that is bounded.

    A pipe that nobody reads makes a write wait for ever. Here only that thread waits. When the queue is full,
    lines are dropped and counted until those that wait are written; then one line says how many were dropped.

    Parameters
    ----------
    descriptor : is duplicated, and may be closed or replaced afterwards.
    encoding : of the text.
    """

    def __init__(self, descriptor: int, encoding: str = "utf-8") -> None:
        super().__init__()
        self._descriptor = os.dup(descriptor)
        self._encoding = encoding
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._waiting_bytes = 0  # of `_lines` and of what is being written
        self._is_dropping = False
        self._unreported_count = 0
        self._dropped_count = 0
        self._is_closed = False
        self._thread = threading.Thread(target=self._write_lines, name="stderr", daemon=True)
        self._thread.start()

    @property
    def dropped_count(self) -> int:
        """Lines dropped so far."""
        return self._dropped_count

    def emit(self, record: logging.LogRecord) -> None:
        """Add a record to the queue, or drop it; never waits for the reader."""
        try:
            line = self._encode(record)
        except Exception:  # noqa: BLE001, as in the library's handlers: a wrong call must not end its caller
            place = f"{record.pathname}:{record.lineno}"
            line = self._encode(_make_record(f"a log line of {place} can't be formatted"))
        with self._changed:
            if self._is_dropping or self._waiting_bytes + len(line) > _MAX_WAITING_BYTES:
                self._is_dropping = True
                self._count_dropped(1)
            else:
                self._lines.append(line)
                self._waiting_bytes += len(line)
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all is written, but not long: `logging` calls this when the process ends."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._waiting_bytes and not self._unreported_count, _FLUSH_TIMEOUT_S
            )

    def close(self) -> None:
        """Accept no more lines; the thread ends when those that wait are written."""
        super().close()
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _encode(self, record: logging.LogRecord) -> bytes:
        return (self.format(record) + "\n").encode(self._encoding, "backslashreplace")

    def _count_dropped(self, count: int) -> None:
        self._dropped_count += count
        self._unreported_count += count

    def _write_lines(self) -> None:
        try:
            while self._write_next():
                pass
        finally:
            os.close(self._descriptor)

    def _write_next(self) -> bool:
        """Write lines that wait, or wait for some; return False at the end."""
        lines, reported_count = self._take_lines()
        if not lines:
            return False
        written = self._write(b"".join(lines))
        with self._changed:
            if reported_count:
                self._unreported_count -= reported_count if written else 0
            else:
                self._waiting_bytes -= sum(map(len, lines))
                self._count_dropped(0 if written else len(lines))
            self._changed.notify_all()
            return written or not self._changed.wait_for(lambda: self._is_closed, _RETRY_INTERVAL_S)

    def _take_lines(self) -> tuple[list[bytes], int]:
        """Wait for something to write, and take it from the queue.

        Returns
        -------
        lines : in order; none if the handler is closed and all is written.
        reported_count : 0, or how many dropped lines the line tells of.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._unreported_count or self._is_closed)
            if not self._lines:
                self._is_dropping = False
                count = self._unreported_count
                return [self._encode(_make_record(_DROPPED.format(count)))] if count else [], count
            lines = [self._lines.popleft()]
            size = len(lines[0])
            while self._lines and (size := size + len(self._lines[0])) <= _MAX_WRITE_BYTES:
                lines.append(self._lines.popleft())
            return lines, 0

    def _write(self, data: bytes) -> bool:
        """Write all, however long it takes; return False where that is impossible."""
        try:
            while data:
                try:
                    data = data[os.write(self._descriptor, data) :]
                except BlockingIOError:  # whoever shares the descriptor has made it non-blocking
                    select.select([], [self._descriptor], [])
        except OSError:
            return False
        return True


def _make_record(text: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None)
