"""Creates the console that commands print to."""

from rich.console import Console

__all__ = ["make_console"]


def make_console() -> Console:
    """Return a console on stdout that prints text unchanged: without markup, highlighting and wrapping."""
    return Console(highlight=False, markup=False, soft_wrap=True)
