"""Prints what a command found; whatever it names from outside, the terminal shows it and doesn't obey it."""

import sys

from monitor.core.printable import printable, printable_lines

__all__ = ["print_error", "print_text"]


def print_text(text: str, end: str = "\n") -> None:
    """Print text of one or several lines to stdout, with escapes in place of all other control characters.

    Who builds the text escapes line ends in what comes from outside.
    """
    print(printable_lines(text), end=end)


def print_error(text: str) -> None:
    """Print an error to stderr, on one line."""
    print(printable(text), file=sys.stderr)
