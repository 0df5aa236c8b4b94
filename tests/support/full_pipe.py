"""A pipe that is full, and that nobody reads."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

__all__ = ["FullPipe", "open_full_pipe"]


@dataclass
class FullPipe:
    """A pipe that takes no byte more until it is read."""

    reader: int
    writer: int

    def fill(self) -> None:
        """Write until the pipe takes no more."""
        os.set_blocking(self.writer, False)
        with suppress(BlockingIOError):
            while True:
                os.write(self.writer, b"." * 4096)
        with suppress(BlockingIOError):
            while True:
                os.write(self.writer, b".")
        os.set_blocking(self.writer, True)

    def read(self) -> bytes:
        """Return what the pipe holds; nothing if it is empty."""
        with suppress(BlockingIOError):
            return os.read(self.reader, 1 << 20)
        return b""


@contextmanager
def open_full_pipe() -> Iterator[FullPipe]:
    """Open a pipe of 4 KiB and fill it; close it at the end."""
    pipe = FullPipe(*os.pipe())
    fcntl.fcntl(pipe.writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(pipe.reader, False)
    pipe.fill()
    try:
        yield pipe
    finally:
        os.close(pipe.reader)
        os.close(pipe.writer)
