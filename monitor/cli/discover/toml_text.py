"""Writes settings as TOML."""

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["to_key", "to_toml"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(value: Any) -> str:
    """Return a value as TOML, tables and arrays on one line.

    Paths of the file system and others that TOML has no type for become text.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{to_key(key)} = {to_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    # JSON's text is TOML's. What a terminal would obey is escaped too, such as 8-bit controls.
    text = json.dumps(str(value), ensure_ascii=False)
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(character: str) -> str:
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def to_key(key: str) -> str:
    """Return a key as TOML, in quotes where it needs them."""
    return key if _BARE_KEY.fullmatch(key) else to_toml(key)
