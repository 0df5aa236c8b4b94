"""A line that tells how far a command is."""

import time
from collections.abc import Callable
from typing import TextIO

__all__ = ["ProgressLine"]


class ProgressLine:
    """Shows a line that changes: in its place on a terminal once a second, elsewhere a line a minute.

    Parameters
    ----------
    stream : where people look.
    monotonic : returns monotonic seconds.
    """

    def __init__(self, stream: TextIO, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._monotonic = monotonic
        self._is_terminal = stream.isatty()
        self._next_at = monotonic()

    def show(self, text: str) -> None:
        """Show it, if it is time."""
        if self._monotonic() < self._next_at:
            return
        self._next_at = self._monotonic() + (1.0 if self._is_terminal else 60.0)
        self._stream.write(f"\r\x1b[K{text}" if self._is_terminal else f"{text}\n")
        self._stream.flush()

    def close(self) -> None:
        """Leave the line to whoever writes next."""
        if self._is_terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
