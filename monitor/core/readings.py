"""Batches of readings and windows as columns, and the outcome of each reading.

A *group* is a set of sensors that are judged together, such as those of one station. A *reading* has one
value of each sensor of a group, and its event time. A *window* is a fixed number of consecutive readings of a
group.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = [
    "MAX_VALUE",
    "Arrivals",
    "Outcome",
    "Readings",
    "RejectedReading",
    "Windows",
    "concatenate",
    "is_readable",
    "to_float",
]


class Outcome(StrEnum):
    """How the processing of a reading ended. Each reading is counted under exactly one outcome."""

    JUDGED = "judged"  # completed a window, which got a score
    FILLING = "filling"  # added to a window that is not complete
    WARMING = "warming"  # completed a window of a group whose baseline is not learnt yet
    SKIPPED = "skipped"  # completed a window that is not judged because of `WindowRules.stride`
    MALFORMED = "malformed"  # dropped: the payload can't be parsed
    UNMATCHED = "unmatched"  # dropped: the topic matches no input template
    DUPLICATE = "duplicate"  # dropped: same event time as the group's last reading
    LATE = "late"  # dropped: event time before that of the group's last reading
    GAP = "gap"  # restarted the window: the last reading is more than `WindowRules.max_gap` older
    FUTURE = "future"  # dropped: event time more than `WindowRules.max_skew` after the arrival
    OVERFLOW = "overflow"  # dropped: the receive queue was full
    EXCESS = "excess"  # dropped: its topic brought more than its share
    STALE = "stale"  # no reading: at this sampling time a feature was absent, or its value was too old
    RETAINED = "retained"  # dropped: retained by the broker, and its age is unknown or its group is silent


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Arrival times of the messages of a batch. Messages that were read together have nearly equal times."""

    arrived_at: FloatArray
    """Wall clock, seconds since the Unix epoch: (message,)."""
    substitute_ts: FloatArray
    """Event time for readings that carry none, seconds since the Unix epoch: (message,). It is the wall
    clock, made strictly increasing from message to message until the clock is set."""
    arrived_monotonic: FloatArray
    """Monotonic clock, seconds: (message,). Start of the latency measurement."""


@dataclass(frozen=True, slots=True)
class RejectedReading:
    """A reading that was dropped, or that restarted its group's window."""

    outcome: Outcome
    source: str
    """The reading's group, or its topic if the group is not known yet."""
    reason: str
    """Why it was rejected, for the log."""


@dataclass(frozen=True, slots=True)
class Readings:
    """A batch of readings in the order of arrival."""

    groups: Sequence[str]
    """The group of each reading: (reading,)."""
    ts: FloatArray
    """Event times, seconds since the Unix epoch, UTC: (reading,)."""
    values: FloatArray
    """The features in the bundle's order and units: (reading, feature)."""
    arrived_at: FloatArray
    """Arrival times by the wall clock, seconds since the Unix epoch: (reading,). Infinite for readings
    without an arrival time, such as the readings of a recording."""
    arrived_monotonic: FloatArray
    """Arrival times by the monotonic clock, seconds: (reading,)."""
    redelivered: NDArray[np.bool_]
    """Whether the broker may have delivered it before: (reading,)."""
    retained: NDArray[np.bool_] | None = None
    """Whether the broker had kept it and sent it on subscribing, so that it is no sign of life: (reading,).
    None if that is true of no reading."""
    is_arrival_ts: NDArray[np.bool_] | None = None
    """Whether the event time is the time of arrival, because the payload has none: (reading,). None if that
    is true of no reading."""


def concatenate(first: Readings, second: Readings) -> Readings:
    """Return the readings of both batches."""
    if not len(first.ts) or not len(second.ts):
        return second if not len(first.ts) else first
    return Readings(
        groups=[*first.groups, *second.groups],
        ts=np.concatenate([first.ts, second.ts]),
        values=np.concatenate([first.values, second.values]),
        arrived_at=np.concatenate([first.arrived_at, second.arrived_at]),
        arrived_monotonic=np.concatenate([first.arrived_monotonic, second.arrived_monotonic]),
        redelivered=np.concatenate([first.redelivered, second.redelivered]),
        retained=_concatenate_flags(first.ts, first.retained, second.ts, second.retained),
        is_arrival_ts=_concatenate_flags(first.ts, first.is_arrival_ts, second.ts, second.is_arrival_ts),
    )


def _concatenate_flags(
    first_ts: FloatArray,
    first: NDArray[np.bool_] | None,
    second_ts: FloatArray,
    second: NDArray[np.bool_] | None,
) -> NDArray[np.bool_] | None:
    """Return the flags of both batches, where None stands for flags that are all False."""
    if first is None and second is None:
        return None
    parts = [
        np.zeros(len(ts), np.bool_) if flags is None else flags
        for ts, flags in ((first_ts, first), (second_ts, second))
    ]
    return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows that a batch of readings completed, and the outcome of each reading."""

    outcomes: list[Outcome]
    """The outcome of each reading of the batch: `judged` where it completed a window."""
    reading_indices: NDArray[np.intp]
    """Index in the batch of the reading that completed each window: (window,)."""
    ts: FloatArray
    """Event times, oldest first: (window, step)."""
    values: FloatArray
    """Raw values: (window, step, feature)."""


MAX_VALUE = 1e12
"""Largest absolute value of a feature: far above the range of any sensor, and small enough that the model's
float32 numbers stay finite after scaling and weighting."""


def to_float(number: float) -> float:
    """Return a number as float; an integer beyond all floats, as JSON can have it, is infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def is_readable(value: float) -> bool:
    """Return whether a number can be a feature's value: finite, and at most `MAX_VALUE` in magnitude."""
    return -MAX_VALUE <= value <= MAX_VALUE
