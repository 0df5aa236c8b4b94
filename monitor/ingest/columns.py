"""Rows as they were decoded, one a reading -> a batch's columns."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from monitor.core.arrays import FloatArray
from monitor.core.messages import Delivery
from monitor.core.readings import Arrivals, Readings

__all__ = ["Row", "doubtful", "readings", "table"]

Row = tuple[Any, ...]
"""`ts` as it came, and the features."""


def table(rows: list[Row], width: int) -> FloatArray:
    """Return rows, each of `width` numbers, as an array: (reading, ts and features)."""
    return np.fromiter(chain.from_iterable(rows), np.float64, len(rows) * width).reshape(len(rows), width)


def doubtful(rows: FloatArray, largest_ts: float, largest_value: float) -> Sequence[int]:
    """Return the rows whose event time isn't plainly in seconds, or with a value that is too large.

    Parameters
    ----------
    rows : (reading, ts and features).
    largest_ts : seconds, below `largest_value`.
    largest_value : either way.
    """
    ts = rows[:, 0]
    # Nearly always all are plain, and three calls tell; NaN compares as false.
    if np.abs(rows).max(initial=0.0) <= largest_ts and ts.min(initial=0.0) >= 0:
        return ()
    plain = (ts >= 0) & (ts <= largest_ts) & (np.abs(rows[:, 1:]) <= largest_value).all(axis=1)  # (reading,)
    found: list[int] = np.flatnonzero(~plain).tolist()
    return found


def readings(
    messages: Sequence[Delivery],
    arrivals: Arrivals,
    groups: list[str],
    rows: FloatArray,
    sources: Sequence[int],
) -> Readings:
    """Return rows, whose `ts` is in seconds, with what is known of the message that each came by.

    Parameters
    ----------
    messages : the batch.
    arrivals : when each of them arrived.
    groups : the group of each row.
    rows : (reading, ts and features).
    sources : the message of each row, as an index; a `range` where each message is one row.
    """
    # With a range, as nearly always, nothing needs to be gathered.
    places = slice(None) if isinstance(sources, range) else np.array(sources, np.intp)
    ts, stamps = rows[:, 0].copy(), arrivals.stamps[places]
    redelivered = np.array([again for _, _, _, again in messages], np.bool_)
    return Readings(
        groups=groups,
        ts=ts,
        values=rows[:, 1:].copy(),
        # A reading that takes its time of arrival for its own is never ahead of the clock.
        arrived_at=np.where(ts == stamps, stamps, arrivals.arrived_at[places]),
        received=arrivals.received[places],
        redelivered=redelivered[places],
    )
