"""What a fuzz target is."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

__all__ = ["FuzzTarget", "check_readable"]


class FuzzTarget(ABC):
    """One way into the monitor; made with a folder for its own files."""

    max_input_bytes = 4096
    """Short inputs run faster."""
    tokens: Sequence[str] = ()
    """Words that the fuzzer puts into inputs."""

    @property
    def process_id(self) -> int:
        """The process whose memory is measured."""
        return os.getpid()

    @abstractmethod
    def seeds(self) -> Iterable[bytes]:
        """Yield well-formed inputs that the fuzzer begins with."""

    @abstractmethod
    def run(self, data: bytes) -> bool:
        """Take one input; return whether it was accepted.

        Raises
        ------
        AssertionError : the monitor did with it what it mustn't; any other exception is a crash.
        """

    def finish(self) -> None:  # noqa: B027, most targets have nothing to do
        """Take the last inputs to their end, if there is more to do."""


def check_readable(error: Exception) -> None:
    """Fail if an error's text is more than a line, or could command a terminal."""
    assert str(error).isprintable(), f"no readable line: {str(error)!r}"
