"""What a feature may be called: its name is a column, a key of payloads and a label of metrics."""

import re

__all__ = ["NAME_PATTERN", "check_name"]

NAME_PATTERN = r"^[a-z0-9_]+$"

# Columns of a recording that are no features.
_RESERVED_NAMES = {"ts", "group", "label", "kind", "event"}


def check_name(name: str) -> None:
    """Check that a feature may have this name.

    Raises
    ------
    ValueError : it may not.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise ValueError(f"{name!r} is no name of a feature, expected lower case letters, digits and _")
    if name in _RESERVED_NAMES:
        raise ValueError(f"{name!r} is a column of recordings that is no feature")
