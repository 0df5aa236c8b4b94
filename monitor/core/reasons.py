"""Compares the texts that say why a reading or a request was rejected."""

import re

__all__ = ["strip_variable_text"]

# Numbers and quoted text, which differ between two occurrences of the same reason.
_VARIABLE_TEXT = re.compile(r"'[^']*'|[-+.\d]+")


def strip_variable_text(reason: str) -> str:
    """Return a reason without its numbers and quoted text: the same for all occurrences of the reason."""
    return _VARIABLE_TEXT.sub("", reason)
