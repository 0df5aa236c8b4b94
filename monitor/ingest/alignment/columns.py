"""The columns of a batch that the alignment needs of each value, computed for all values at once."""

from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.rules import AlignmentRules
from monitor.core.values import ValueOutcome, Values
from monitor.ingest.alignment.sampling_times import SamplingTimes

__all__ = ["ABSENT", "ACCEPTED", "DUPLICATE", "FUTURE", "LATE", "OUTCOMES", "RETAINED", "ValueColumns"]

OUTCOMES = (
    ValueOutcome.ACCEPTED,
    ValueOutcome.ABSENT,
    ValueOutcome.DUPLICATE,
    ValueOutcome.LATE,
    ValueOutcome.FUTURE,
    ValueOutcome.RETAINED,
)
"""The outcomes that the alignment knows; a code is an index of it."""
ACCEPTED, ABSENT, DUPLICATE, LATE, FUTURE, RETAINED = range(len(OUTCOMES))


@dataclass(frozen=True, slots=True)
class ValueColumns:
    """Columns of some values of a batch, each (value,)."""

    positions: IndexArray
    """Index in the batch."""
    rows: IndexArray
    """Row of the group."""
    features: IndexArray
    """Index of the feature."""
    ts: FloatArray
    """Event time, seconds since the Unix epoch."""
    values: FloatArray
    """The value; NaN if absent."""
    buckets: FloatArray
    """Bucket of the first sampling time that is not before `ts`."""
    decided: FloatArray
    """Bucket of the last sampling time that the value's event decides. An event counts at the latest when it
    arrives: otherwise a sender whose clock is ahead would cut off the others."""
    deadlines: FloatArray
    """Monotonic time at which the clock decides `buckets` if this is the first value of it; inf: never."""
    arrived_at: FloatArray
    """Arrival by the wall clock."""
    arrived_monotonic: FloatArray
    """Arrival by the monotonic clock."""
    now: FloatArray
    """The same, but -inf for values without arrival time, for which there is no clock."""
    is_replayed: NDArray[np.bool_]
    """Whether the broker may have delivered it before."""
    is_retained: NDArray[np.bool_]
    """Whether the broker had kept it."""

    @classmethod
    def build(
        cls,
        values: Values,
        positions: IndexArray,
        rows: IndexArray,
        rules: AlignmentRules,
        times: SamplingTimes,
    ) -> "ValueColumns":
        """Compute the columns of the values at some positions of a batch, whose groups have these rows."""
        # Nearly always all values of the batch, and then the columns need no copy.
        selection = slice(None) if len(positions) == len(values.ts) else positions
        ts, arrived_at = values.ts[selection], values.arrived_at[selection]
        arrived_monotonic = values.arrived_monotonic[selection]
        buckets = times.first_at_or_after(ts)
        # A late first message still leaves `wait` for the other features. One that is ahead of its sampling
        # time leaves it from then on. Steps of the wall clock during the wait don't matter.
        deadlines = arrived_monotonic + np.maximum(buckets * rules.period - arrived_at, 0) + rules.wait
        has_clock = arrived_at < np.inf
        is_retained = np.zeros(len(ts), np.bool_) if values.retained is None else values.retained[selection]
        return cls(
            positions=positions,
            rows=rows,
            features=values.features[selection],
            ts=ts,
            values=values.values[selection],
            buckets=buckets,
            decided=times.last_decided(np.minimum(ts, arrived_at)),
            deadlines=np.where(has_clock, deadlines, np.inf),
            arrived_at=arrived_at,
            arrived_monotonic=arrived_monotonic,
            now=np.where(has_clock, arrived_monotonic, -np.inf),
            is_replayed=values.redelivered[selection],
            is_retained=is_retained,
        )

    def take(self, selection: IndexArray | slice) -> "ValueColumns":
        """Return the columns of some of the values."""
        return ValueColumns(*[column[selection] for column in _columns(self)])


_columns = attrgetter(*ValueColumns.__slots__)
