"""Makes text from outside safe to print: a terminal must not obey it, and it must stay on its line."""

__all__ = ["printable", "printable_lines"]


def printable(text: str) -> str:
    r"""Return a text with escapes such as `\x1b` in the place of all characters that aren't printable.

    These are control characters, with which a terminal is told to move or to retitle itself, line ends, those
    that change the direction of writing, those without width, and halves of surrogate pairs.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def printable_lines(text: str) -> str:
    """Return a text of several lines with all but its line ends escaped as by `printable`."""
    return "\n".join(map(printable, text.split("\n")))
