"""A batch of messages, readings and windows in columns, and what became of each reading."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = ["Arrivals", "Outcome", "Readings", "RejectedReading", "Windows", "is_readable"]


class Outcome(StrEnum):
    """What became of a reading. Each reading is counted under exactly one."""

    JUDGED = "judged"
    FILLING = "filling"
    WARMING = "warming"
    SKIPPED = "skipped"
    MALFORMED = "malformed"
    UNMATCHED = "unmatched"
    DUPLICATE = "duplicate"
    LATE = "late"
    GAP = "gap"
    FUTURE = "future"
    OVERFLOW = "overflow"


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When the messages of a batch arrived, in columns: all that came at once have much the same."""

    arrived_at: FloatArray
    """Wall clock, seconds since the Unix epoch: (message,)."""
    substitute_ts: FloatArray
    """The same, but strictly increasing from message to message, also where the clock is set back: it
    stands in for an event time."""
    arrived_monotonic: FloatArray
    """Monotonic clock, seconds: latency is measured from here."""


@dataclass(frozen=True, slots=True)
class RejectedReading:
    """A reading that was dropped, or that began its window afresh."""

    outcome: Outcome
    source: str
    """Its topic, or its group once that is known."""
    reason: str
    """What was wrong, for the log."""


@dataclass(frozen=True, slots=True)
class Readings:
    """A batch of readings in the order in which they arrived."""

    groups: Sequence[str]
    """The group of each reading."""
    ts: FloatArray
    """Event times, seconds since the Unix epoch, UTC: (reading,)."""
    values: FloatArray
    """The features in the bundle's order and units: (reading, feature)."""
    arrived_at: FloatArray
    """When each arrived by the wall clock, seconds since the Unix epoch: (reading,). Infinite where
    there is no clock, as in a recording."""
    arrived_monotonic: FloatArray
    """When each arrived by the monotonic clock, seconds: (reading,)."""
    redelivered: NDArray[np.bool_]
    """Whether the broker may have sent it before: (reading,)."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows that a batch of readings completed, and what became of each reading."""

    outcomes: list[Outcome]
    """One for each reading of the batch; `judged` where it completed a window."""
    reading_indices: NDArray[np.intp]
    """The reading (its index in the batch) that completed each window: (window,)."""
    ts: FloatArray
    """Event times, oldest first: (window, step)."""
    values: FloatArray
    """(window, step, feature)."""


# Far beyond any sensor, and still finite in the model's float32 after scaling and weighting.
MAX_VALUE = 1e12


def is_readable(value: float) -> bool:
    """Say whether a number can be a feature's value: finite, and not beyond what the model can take."""
    return -MAX_VALUE <= value <= MAX_VALUE
