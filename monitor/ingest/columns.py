"""Decoded rows, one per reading -> the columns of a batch of readings."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from monitor.core.arrays import FloatArray
from monitor.core.messages import DUP_FLAG, RETAIN_FLAG, InboundMessage
from monitor.core.readings import Arrivals, Readings

__all__ = ["DecodedRow", "build_readings", "find_suspect_rows", "stack_rows"]

DecodedRow = tuple[Any, ...]
"""`ts` as in the payload, then the features in order."""


def stack_rows(rows: list[DecodedRow], width: int) -> FloatArray:
    """Return rows of `width` numbers each as an array: (reading, 1 + feature), `ts` first."""
    return np.fromiter(chain.from_iterable(rows), np.float64, len(rows) * width).reshape(len(rows), width)


def find_suspect_rows(rows: FloatArray, max_ts: float, max_value: float) -> Sequence[int]:
    """Return the indices of rows to check one by one: `ts` may not be in seconds, or a value is too large.

    Parameters
    ----------
    rows : `ts` and features (reading, 1 + feature).
    max_ts : largest `ts` that is certainly in seconds; less than `max_value`.
    max_value : largest absolute value of a feature.
    """
    ts = rows[:, 0]
    # Nearly always no row is suspect, which these three calls find out. A NaN makes the comparison false.
    if np.abs(rows).max(initial=0.0) <= max_ts and ts.min(initial=0.0) >= 0:
        return ()
    is_plain = (ts >= 0) & (ts <= max_ts) & (np.abs(rows[:, 1:]) <= max_value).all(axis=1)  # (reading,)
    suspect_rows: list[int] = np.flatnonzero(~is_plain).tolist()
    return suspect_rows


def build_readings(
    messages: Sequence[InboundMessage],
    arrivals: Arrivals,
    groups: list[str],
    rows: FloatArray,
    message_indices: Sequence[int],
) -> Readings:
    """Build readings from rows and from the arrival times of their messages.

    Parameters
    ----------
    messages : the batch of messages.
    arrivals : their arrival times.
    groups : the group of each row.
    rows : `ts` in seconds and features (reading, 1 + feature).
    message_indices : index of each row's message; a `range` if each message has exactly one row.
    """
    # Nearly always it is a range, and the arrival times can be used without gathering them by index.
    selection = slice(None) if isinstance(message_indices, range) else np.array(message_indices, np.intp)
    ts, substitute_ts = rows[:, 0].copy(), arrivals.substitute_ts[selection]
    flags = [flags for _, _, _, flags in messages]
    redelivered, retained = np.zeros(len(ts), np.bool_), None
    if any(flags):  # rarely
        flag_array = np.array(flags, np.uint8)[selection]  # (reading,)
        redelivered, retained = flag_array & DUP_FLAG != 0, flag_array & RETAIN_FLAG != 0
    arrived_at, is_arrival_ts = arrivals.arrived_at[selection], ts == substitute_ts
    has_arrival_ts = is_arrival_ts.any()
    if (
        has_arrival_ts
    ):  # a reading whose event time is its arrival time must never count as ahead of the clock
        arrived_at = np.where(is_arrival_ts, substitute_ts, arrived_at)
    return Readings(
        groups=groups,
        ts=ts,
        values=rows[:, 1:].copy(),
        arrived_at=arrived_at,
        arrived_monotonic=arrivals.arrived_monotonic[selection],
        redelivered=redelivered,
        retained=retained,
        is_arrival_ts=is_arrival_ts if has_arrival_ts else None,
    )
