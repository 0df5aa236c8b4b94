"""Rows as they were decoded, one a reading -> a batch's columns."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from monitor.records import FloatArray, Message, Readings

__all__ = ["Row", "doubtful", "readings"]

Row = tuple[Any, ...]
"""`ts` as it came, and the features."""


def doubtful(rows: list[Row], width: int, largest_ts: float, largest_value: float) -> Sequence[int]:
    """Return the rows whose event time isn't plainly in seconds, or with a value that is too large.

    Parameters
    ----------
    rows : each of `width` items.
    largest_ts : seconds.
    largest_value : either way.
    """
    if {type(row[0]) for row in rows} - {float}:
        return range(len(rows))
    table = _table(rows, width)
    ts, values = table[:, 0], table[:, 1:]
    plain = (ts >= 0) & (ts <= largest_ts) & (np.abs(values) <= largest_value).all(axis=1)  # (reading,)
    found: list[int] = np.flatnonzero(~plain).tolist()
    return found


def readings(
    messages: Sequence[Message], groups: list[str], rows: list[Row], sources: list[int], width: int
) -> Readings:
    """Return rows, whose `ts` is in seconds, with what is known of the message that each came by.

    Parameters
    ----------
    messages : the batch.
    groups : the group of each row.
    rows : each of `width` items.
    sources : the message of each row, as an index.
    """
    table = _table(rows, width)
    of = np.array(sources, dtype=np.intp)
    stamps = np.array([message.stamp for message in messages], dtype=np.float64)[of]
    arrived = np.array([message.arrived_at for message in messages], dtype=np.float64)[of]
    return Readings(
        groups=groups,
        ts=table[:, 0].copy(),
        values=table[:, 1:].copy(),
        # A reading that takes its time of arrival for its own is never ahead of the clock.
        arrived_at=np.where(table[:, 0] == stamps, stamps, arrived),
        received=np.array([message.received for message in messages], dtype=np.float64)[of],
        redelivered=np.array([message.redelivered for message in messages], dtype=np.bool_)[of],
    )


def _table(rows: list[Row], width: int) -> FloatArray:
    """Return rows as an array: (reading, ts and features)."""
    return np.fromiter(chain.from_iterable(rows), np.float64, len(rows) * width).reshape(len(rows), width)
