"""What binary formats know and JSON does not -> what JSON knows."""

from collections.abc import Iterable
from datetime import datetime
from types import NoneType
from typing import Any

__all__ = ["to_plain"]

_SCALARS = frozenset({str, int, float, bool, NoneType})


def to_plain(value: Any, null_type: type = NoneType) -> Any:
    """Return decoded data with JSON's types only; changes lists, and dicts whose keys are text, in place.

    Bytes become hexadecimal digits, times seconds since 1970, numbers as keys their digits.

    Parameters
    ----------
    null_type : another type than None's that means null.

    Raises
    ------
    ValueError : something has no counterpart in JSON.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is list or kind is dict:
        plain: Any = value if kind is list or all(type(key) is str for key in value) else _rename_keys(value)
        items: Iterable[tuple[Any, Any]] = plain.items() if kind is dict else enumerate(plain)
        for key, item in items:
            if type(item) not in _SCALARS:
                plain[key] = to_plain(item, null_type)
        return plain
    if kind is bytes:
        return value.hex()
    if kind is datetime:
        return value.timestamp()
    if kind is null_type:
        return None
    raise ValueError(f"a value is of type {kind.__name__}; expected the types of JSON, bytes or a time")


def _rename_keys(content: dict[Any, Any]) -> dict[str, Any]:
    return {key if type(key) is str else _rename_key(key): item for key, item in content.items()}


def _rename_key(key: Any) -> str:
    if type(key) in {int, float}:
        return str(key)
    if type(key) is bytes:
        return key.decode(errors="backslashreplace")
    raise ValueError(f"a key is of type {type(key).__name__}; expected text or a number")
