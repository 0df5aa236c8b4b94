import logging
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import pytest

from monitor.telemetry.log_handler import BoundedLogHandler
from tests.conftest import wait_until

LINE = "x" * 200
NOTICE = "{} log lines were dropped: nobody read the log, or it couldn't be written"


class LogPipe:
    """A logger that writes through the handler to a pipe, and the pipe's other end."""

    def __init__(self) -> None:
        self._reader, self.descriptor = os.pipe()
        others = set(threading.enumerate())
        self.handler = BoundedLogHandler(self.descriptor)
        (self.thread,) = set(threading.enumerate()) - others
        self.logger = logging.Logger("test")  # noqa: LOG001, one that pytest doesn't listen to
        self.logger.addHandler(self.handler)
        self._data = b""

    def read_until(self, text: str) -> list[str]:
        """Read the pipe until a line with this text; return all lines read so far."""

        def found() -> bool:
            with suppress(BlockingIOError):
                self._data += os.read(self._reader, 1 << 20)
            return text.encode() in self._data and self._data.endswith(b"\n")

        os.set_blocking(self._reader, False)
        wait_until(found, f"a line with {text!r}")
        return self._data.decode().splitlines()

    def log_until_full(self) -> int:
        """Log numbered lines until one is dropped; return how many were logged."""
        for number in count():
            if self.handler.dropped_count:
                return number
            self.logger.warning("%s %s", number, LINE)
        raise AssertionError

    def close_reader(self) -> None:
        """End the reading, as a program that ends."""
        os.close(self._reader)

    def close(self) -> None:
        """End both."""
        self.handler.close()
        os.close(self.descriptor)
        with suppress(OSError):
            os.close(self._reader)


@pytest.fixture
def pipe() -> Iterator[LogPipe]:
    """A pipe that is closed after the test."""
    opened = LogPipe()
    yield opened
    opened.close()


def test_lines_are_written_in_order(pipe: LogPipe) -> None:
    """Lines arrive in the order in which they were logged, and `flush` waits for them."""
    for number in range(100):
        pipe.logger.warning("%s", number)
    pipe.handler.flush()
    assert pipe.read_until("99") == [str(number) for number in range(100)]


def test_log_that_nobody_reads(pipe: LogPipe) -> None:
    """Lines that nobody reads are dropped beyond a bound; once they are read, one line says how many."""
    logged = pipe.log_until_full()
    for _ in range(1000):
        pipe.logger.warning("dropped")
    assert pipe.handler.dropped_count == 1001
    lines = pipe.read_until(NOTICE.format(1001))
    assert lines == [*(f"{number} {LINE}" for number in range(logged - 1)), NOTICE.format(1001)]
    assert sum(map(len, lines)) < 2 << 20
    pipe.logger.warning("after")
    assert pipe.read_until("after")[-1] == "after"
    assert pipe.handler.dropped_count == 1001


def test_flush_of_a_log_that_nobody_reads(pipe: LogPipe) -> None:
    """The end of the process doesn't wait for a log that nobody reads."""
    pipe.log_until_full()
    pipe.handler.flush()
    pipe.handler.close()


def test_reader_has_ended(pipe: LogPipe) -> None:
    """Lines for a reader that has ended are counted as dropped, and nothing is raised."""
    pipe.close_reader()
    pipe.logger.warning("lost")
    wait_until(lambda: pipe.handler.dropped_count == 1, "the line is counted")
    pipe.logger.warning("lost too")
    wait_until(lambda: pipe.handler.dropped_count == 2, "the next one too, and no notice of the first")


def test_line_larger_than_the_queue(pipe: LogPipe) -> None:
    """A line that can never find room is dropped alone."""
    pipe.logger.warning("x" * (2 << 20))
    assert pipe.read_until(NOTICE.format(1)) == [NOTICE.format(1)]
    pipe.logger.warning("after")
    pipe.read_until("after")


def test_non_blocking_descriptor(pipe: LogPipe) -> None:
    """Where another program has made the shared pipe non-blocking, no line is lost."""
    os.set_blocking(pipe.descriptor, False)
    for number in range(1000):
        pipe.logger.warning("%s %s", number, LINE)
    assert pipe.read_until("999 ") == [f"{number} {LINE}" for number in range(1000)]
    assert pipe.handler.dropped_count == 0


def test_wrong_log_call(pipe: LogPipe) -> None:
    """A log call whose arguments don't fit is a line that names its place."""
    pipe.logger.warning("%d", "no number")
    (line,) = pipe.read_until("can't be formatted")
    assert "test_log_handler.py:" in line


def test_thread_ends(pipe: LogPipe) -> None:
    """A closed handler's thread ends when its lines are written, or can't be."""
    pipe.logger.warning("last")
    pipe.handler.close()
    pipe.read_until("last")
    wait_until(lambda: not pipe.thread.is_alive(), "the thread ends")
