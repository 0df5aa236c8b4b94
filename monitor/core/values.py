"""Batches of single values as columns, before they are aligned into readings, and the outcome of each value.

A *value* is one feature of one group at one time: what a sensor says that has a topic or a message of its
own. `ingest.alignment` makes readings of values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray, IndexArray

__all__ = ["RejectedValue", "ValueOutcome", "Values"]


class ValueOutcome(StrEnum):
    """How the processing of a value ended. Each value is counted under exactly one outcome."""

    ACCEPTED = "accepted"  # kept for the sampling times that follow it
    ABSENT = "absent"  # the sender says that the sensor has no value: null, bad quality, "unavailable"
    DUPLICATE = "duplicate"  # dropped: same event time as another value of the feature
    LATE = "late"  # its sampling time was decided before; it is held if it is the newest of its feature
    FUTURE = "future"  # dropped: event time too far ahead of its arrival
    RETAINED = "retained"  # dropped: retained by the broker, and its age is unknown or its group is silent
    MALFORMED = "malformed"  # dropped: the payload can't be read
    UNMATCHED = "unmatched"  # dropped: it belongs to no feature or no source
    OVERFLOW = "overflow"  # dropped: the receive queue was full
    EXCESS = "excess"  # dropped: its topic brought more than its share


@dataclass(frozen=True, slots=True)
class RejectedValue:
    """A value, or a message with values, that was dropped."""

    outcome: ValueOutcome
    source: str
    """The value's group, or its topic if the group is not known."""
    reason: str
    """Why it was rejected, for the log."""


@dataclass(frozen=True, slots=True)
class Values:
    """A batch of values in the order of arrival."""

    groups: Sequence[str]
    """The group of each value: (value,)."""
    features: IndexArray
    """Index of the feature, in the bundle's order: (value,)."""
    ts: FloatArray
    """Event times, seconds since the Unix epoch, UTC: (value,)."""
    values: FloatArray
    """The values in the bundle's units; NaN where the sender says that the sensor has none: (value,)."""
    arrived_at: FloatArray
    """Arrival times by the wall clock, seconds since the Unix epoch: (value,). Infinite for values without an
    arrival time, such as those of a recording."""
    arrived_monotonic: FloatArray
    """Arrival times by the monotonic clock, seconds: (value,)."""
    redelivered: NDArray[np.bool_]
    """Whether the broker may have delivered it before: (value,)."""
    retained: NDArray[np.bool_] | None = None
    """Whether the broker had kept it and sent it on subscribing: (value,). None if that is true of none."""
    is_arrival_ts: NDArray[np.bool_] | None = None
    """Whether the event time is the time of arrival, because the message has none: (value,). None if that is
    true of no value."""
