"""Says why a payload can't be decoded: the decoder's message, with what is most likely wrong."""

import math
import re
from contextlib import suppress
from typing import Any

import msgspec

__all__ = ["explain_error", "strip_padding"]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAX_SHOWN_CHARACTERS = 40
# A payload of 1 MiB may take 30 ms to decode once more; an error in one of 64 KiB is found by hand as well.
_MAX_EXPLAINED_BYTES = 1 << 16
# A number that JSON doesn't have, and the key before it.
_NON_FINITE = re.compile(rb'"([^"\\]{1,200})"\s*:\s*(-?(?:nan|inf|infinity))\b', re.IGNORECASE)
# The decoder's messages, with the place in the payload.
_MISSING = re.compile(r"missing required field `([^`]*)`(?: - at `\$([^`]*)`)?")
_NOT_A_NUMBER = re.compile(r"got `str` - at `\$([^`]*)`")


def strip_padding(payload: bytes) -> bytes:
    """Return a payload without a byte order mark before it and a NUL behind it, as some devices send it."""
    return payload.removeprefix(_BYTE_ORDER_MARK).removesuffix(b"\0")


def explain_error(error: Exception, payload: bytes) -> str:
    """Return the reason why a payload is malformed.

    Parameters
    ----------
    error : what the decoder raised.
    payload : the JSON text of the reading, or of an array of readings.
    """
    if not payload:
        return "the payload is empty; expected a JSON object"
    text = str(error)
    if len(payload) > _MAX_EXPLAINED_BYTES:
        return text
    content: Any = None
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        content = msgspec.json.decode(payload)
    if content is None:
        found = _NON_FINITE.search(payload)
        return f"{text}: {found[1].decode(errors='replace')} is {found[2].decode()}?" if found else text
    if missing := _MISSING.search(text):
        return text + _hint_at_case(_follow_path(content, missing[2] or ""), missing[1])
    if not_a_number := _NOT_A_NUMBER.search(text):
        return text + _hint_at_text(_follow_path(content, not_a_number[1]))
    return text


def _hint_at_case(parent: Any, key: str) -> str:
    """Name the key that differs from the missing one in upper and lower case only."""
    names = parent if isinstance(parent, dict) else ()
    similar = next((name for name in names if name.casefold() == key.casefold()), None)
    return f": it has {similar[:_MAX_SHOWN_CHARACTERS]!r}" if similar else ""


def _hint_at_text(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    try:
        if math.isfinite(float(value)):
            return ": a number in quotes?"
    except ValueError:
        pass
    return f": {value[:_MAX_SHOWN_CHARACTERS]!r} is no number"


def _follow_path(content: Any, path: str) -> Any:
    """Return what is at a path such as `.data.t1` or `[0].t1`; None if nothing is."""
    for key, index in re.findall(r"\.([^.\[]+)|\[(\d+)\]", path):
        if key and isinstance(content, dict):
            content = content.get(key)
        elif index and isinstance(content, list) and int(index) < len(content):
            content = content[int(index)]
        else:
            return None
    return content
