"""Paths to the parts of a decoded payload."""

from collections.abc import Sequence
from typing import Any

__all__ = ["MISSING", "Path", "describe_path", "follow", "to_path"]

Path = tuple[str | int, ...]
"""Keys of objects and indices of arrays; () is the payload itself."""

MISSING: Any = object()
"""What `follow` returns if there is nothing at a path."""


def to_path(setting: str | Sequence[str | int]) -> Path:
    """Return the path that a setting means: a dotted text, or a list of keys and indices.

    Raises
    ------
    ValueError : a dotted text has an empty part.
    """
    if not isinstance(setting, str):
        return tuple(setting)
    parts = tuple(setting.split(".")) if setting else ()
    if "" in parts:
        raise ValueError(f"{setting!r} is no dotted path: it has an empty part")
    return parts


def follow(content: Any, path: Path) -> Any:
    """Return what is at a path; `MISSING` if nothing is.

    A number in a dotted text, which is a text, finds the element of an array too.
    """
    for part in path:
        if isinstance(content, dict):
            content = content.get(part, MISSING)
        elif isinstance(content, list) and (index := _to_index(part)) is not None and index < len(content):
            content = content[index]
        else:
            return MISSING
    return content


def describe_path(path: Path) -> str:
    """Return a path as text for people, such as `$.values[0].t`; `$` is the payload."""
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def _to_index(part: str | int) -> int | None:
    if isinstance(part, int):
        return part if part >= 0 else None
    return int(part) if part.isascii() and part.isdigit() else None
