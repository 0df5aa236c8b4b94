"""Rows as they were decoded, one a reading -> a batch's columns."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from monitor.core.arrays import FloatArray
from monitor.core.messages import InboundMessage
from monitor.core.readings import Arrivals, Readings

__all__ = ["DecodedRow", "build_readings", "find_suspect_rows", "stack_rows"]

DecodedRow = tuple[Any, ...]
"""`ts` as it came, and the features."""


def stack_rows(rows: list[DecodedRow], width: int) -> FloatArray:
    """Return rows, each of `width` numbers, as an array: (reading, ts and features)."""
    return np.fromiter(chain.from_iterable(rows), np.float64, len(rows) * width).reshape(len(rows), width)


def find_suspect_rows(rows: FloatArray, max_ts: float, max_value: float) -> Sequence[int]:
    """Return the rows whose event time isn't plainly in seconds, or with a value that is too large.

    Parameters
    ----------
    rows : (reading, ts and features).
    max_ts : seconds, below `max_value`.
    max_value : either way.
    """
    ts = rows[:, 0]
    # Nearly always all are plain, and three calls tell; NaN compares as false.
    if np.abs(rows).max(initial=0.0) <= max_ts and ts.min(initial=0.0) >= 0:
        return ()
    is_plain = (ts >= 0) & (ts <= max_ts) & (np.abs(rows[:, 1:]) <= max_value).all(axis=1)  # (reading,)
    found: list[int] = np.flatnonzero(~is_plain).tolist()
    return found


def build_readings(
    messages: Sequence[InboundMessage],
    arrivals: Arrivals,
    groups: list[str],
    rows: FloatArray,
    message_indices: Sequence[int],
) -> Readings:
    """Return rows, whose `ts` is in seconds, with what is known of the message that each came by.

    Parameters
    ----------
    messages : the batch.
    arrivals : when each of them arrived.
    groups : the group of each row.
    rows : (reading, ts and features).
    message_indices : the message of each row, as an index; a `range` where each message is one row.
    """
    # With a range, as nearly always, nothing needs to be gathered.
    selection = slice(None) if isinstance(message_indices, range) else np.array(message_indices, np.intp)
    ts, substitute_ts = rows[:, 0].copy(), arrivals.substitute_ts[selection]
    redelivered = np.array([again for _, _, _, again in messages], np.bool_)
    return Readings(
        groups=groups,
        ts=ts,
        values=rows[:, 1:].copy(),
        # A reading that takes its time of arrival for its own is never ahead of the clock.
        arrived_at=np.where(ts == substitute_ts, substitute_ts, arrivals.arrived_at[selection]),
        arrived_monotonic=arrivals.arrived_monotonic[selection],
        redelivered=redelivered[selection],
    )
