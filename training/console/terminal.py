"""Creates the console that commands print to."""

from typing import Any

from rich.console import Console

from monitor.core.printable import printable_lines

__all__ = ["make_console"]


class _PlainConsole(Console):
    """A console that escapes control characters: a name in a recording may have any."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects as `Console` does."""
        super().print(
            *(printable_lines(item) if isinstance(item, str) else item for item in objects), **options
        )


def make_console() -> Console:
    """Return a console on stdout that prints text unchanged: without markup, highlighting and wrapping."""
    return _PlainConsole(highlight=False, markup=False, soft_wrap=True)
