"""The console that commands print to."""

from rich.console import Console

__all__ = ["make_console"]


def make_console() -> Console:
    """Return a console on stdout that prints text as it is, without markup, highlighting or wrapping."""
    return Console(highlight=False, markup=False, soft_wrap=True)
