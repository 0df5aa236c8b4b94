"""A status line that shows the progress of a command."""

import time
from collections.abc import Callable
from typing import TextIO

from monitor.core.printable import printable

__all__ = ["ProgressLine"]

_TERMINAL_INTERVAL_S, _LOG_INTERVAL_S = 1.0, 60.0


class ProgressLine:
    """Shows progress: on a terminal it rewrites one line once a second, elsewhere it prints a line a minute.

    Parameters
    ----------
    stream : the stream to write to.
    monotonic : returns monotonic seconds.
    """

    def __init__(self, stream: TextIO, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._monotonic = monotonic
        self._is_terminal = stream.isatty()
        self._next_at = monotonic()

    def show(self, text: str) -> None:
        """Show a text, unless the last one was shown less than an interval ago."""
        if self._monotonic() < self._next_at:
            return
        interval_s = _TERMINAL_INTERVAL_S if self._is_terminal else _LOG_INTERVAL_S
        self._next_at = self._monotonic() + interval_s
        self._stream.write(f"\r\x1b[K{printable(text)}" if self._is_terminal else f"{printable(text)}\n")
        self._stream.flush()

    def close(self) -> None:
        """Erase the line on a terminal, so that the next output begins on an empty one."""
        if self._is_terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
