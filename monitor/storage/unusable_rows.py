"""Deletes rows of a store that the monitor can't have written, such as a topic with a wildcard."""

import logging
import math
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from monitor.core.errors import ConfigurationError
from monitor.core.messages import OutboundMessage
from monitor.core.times import MAX_TS
from monitor.core.topics import check_filter, is_valid_topic

__all__ = [
    "CountDiscarded",
    "IsOwnMessage",
    "UnusableRows",
    "delete_unusable_rows",
    "report_unusable_rows",
]

_log = logging.getLogger(__name__)

CountDiscarded = Callable[[str, int], None]
"""Counts what can't be used: "store" if all of it, or a kind of `UnusableRows`; and how many."""
IsOwnMessage = Callable[[OutboundMessage], bool]
"""Tells whether a monitor can have stored a message."""

# SQLite's largest number is 2^63 - 1: from here on 10^18 messages can be added.
_MAX_NUMBER = 1 << 62
_MAX_MUTE_S = MAX_TS
_MAX_TEXT_BYTES = 65_535  # of a text in an MQTT packet


@dataclass(frozen=True, slots=True)
class UnusableRows:
    """Rows of one kind that were deleted."""

    kind: str
    """What the rows hold: "group", "incident", "message", "mute", "filter" or "birth"."""
    count: int
    example: str
    """The first of them."""


def delete_unusable_rows(database: sqlite3.Connection, is_own_message: IsOwnMessage) -> list[UnusableRows]:
    """Delete rows of a store with the right schema; return what they were.

    Parameters
    ----------
    is_own_message : tells whether a monitor can have stored a message.

    Raises
    ------
    sqlite3.Error : the store can't be read or written.
    """
    found = []
    is_usable_message = partial(_is_usable_message, is_own_message)
    message_check: _Check = ("message", "outbox", _MESSAGE_COLUMNS, is_usable_message)
    for kind, table, columns, is_usable in (*_CHECKS, message_check):
        rows = database.execute(f"SELECT {columns} FROM {table}")  # noqa: S608
        keys = [row[0] for row in rows if not is_usable(row)]
        if keys:
            key = columns.split(",", maxsplit=1)[0]
            value = "?" if key == "number" else "CAST(? AS TEXT)"  # as bytes: it may be no UTF-8
            database.executemany(f"DELETE FROM {table} WHERE {key} = {value}", map(_to_bytes, keys))  # noqa: S608
            found.append(UnusableRows(kind, len(keys), repr(keys[0])[:200]))
    return found


def report_unusable_rows(found: Iterable[UnusableRows], count_discarded: CountDiscarded) -> None:
    """Log and count the rows that were deleted."""
    for rows in found:
        count_discarded(rows.kind, rows.count)
        _log.error(
            "the store held %s %s(s) that no monitor can have written, which are deleted; the first: %s",
            rows.count,
            rows.kind,
            rows.example,
        )


def _to_bytes(key: object) -> tuple[object]:
    return (key.encode() if isinstance(key, str) else key,)


def _is_text(value: object) -> bool:
    """Return whether a value is a text and not the bytes of a text that is not UTF-8."""
    return isinstance(value, str)


def _is_usable_group(row: Sequence[Any]) -> bool:
    return _is_text(row[0]) and is_valid_topic(row[0])


def _is_usable_message(is_own_message: IsOwnMessage, row: Sequence[Any]) -> bool:
    number, topic, payload, retain, bundle, whole = row
    is_message = _is_text(topic) and is_valid_topic(topic) and _is_text(bundle)
    if not (is_message and 0 < number < _MAX_NUMBER and {retain, whole} <= {0, 1}):
        return False
    return is_own_message(OutboundMessage(topic, payload, bool(retain), bundle, bool(whole)))


def _is_usable_mute(row: Sequence[Any]) -> bool:
    pattern, until, length = row
    return (
        _is_text(pattern)
        and 0 < len(pattern) <= _MAX_TEXT_BYTES
        and 0 <= until <= _MAX_MUTE_S
        and (length is None or (math.isfinite(length) and 0 <= length <= _MAX_MUTE_S))
    )


def _is_usable_filter(row: Sequence[Any]) -> bool:
    if not _is_text(row[0]) or len(row[0].encode()) > _MAX_TEXT_BYTES:
        return False
    try:
        check_filter(row[0])
    except ConfigurationError:
        return False
    return True


_MESSAGE_COLUMNS = "number, topic, payload, retain, bundle, whole"
_Check = tuple[str, str, str, Callable[[Sequence[Any]], bool]]
# Kind, table, columns (the key first), and whether a row is usable.
_CHECKS: tuple[_Check, ...] = (
    ("group", "groups", "name", _is_usable_group),
    ("incident", "incidents", "name", _is_usable_group),
    ("mute", "mutes", "pattern, until, length", _is_usable_mute),
    ("filter", "filters", "filter", _is_usable_filter),
    ("birth", "births", "edge", _is_usable_group),
)
