"""Writes text as comments of TOML."""

from monitor.core.printable import printable

__all__ = ["to_comment"]

_WIDTH = 110


def to_comment(text: str) -> list[str]:
    """Return a text of one line as comments of at most 110 characters; indentation is kept."""
    indent = " " * (len(text) - len(text.lstrip(" ")))
    lines: list[str] = []
    line = f"#{indent}"
    for word in text.split():
        shown = printable(word)
        if len(line) + 1 + len(shown) > _WIDTH and line.strip("# "):
            lines.append(line)
            line = f"#{indent}  "
        line += f" {shown}"
    return [*lines, line]
