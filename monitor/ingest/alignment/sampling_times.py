"""The grid of sampling times: which sampling time a value belongs to, and which are decided by an event.

A sampling time is b * period, where b is its *bucket*. Buckets are floats with integer values, so that -inf
and inf stand for "none". A quotient of floats may be rounded across an integer, so each result is corrected
by comparing the products, which are what the sampling times are.
"""

from math import floor

import numpy as np

from monitor.core.arrays import FloatArray

__all__ = ["SamplingTimes"]


class SamplingTimes:
    """The multiples of a period.

    Parameters
    ----------
    period : seconds between two sampling times.
    wait : seconds after a sampling time at which an event decides it.
    """

    def __init__(self, period: float, wait: float) -> None:
        self.period = period
        self._wait = wait

    def first_at_or_after(self, ts: FloatArray) -> FloatArray:
        """Return the bucket of the first sampling time that is not before each time (time,)."""
        buckets: FloatArray = np.ceil(ts / self.period)
        buckets -= (buckets - 1) * self.period >= ts
        buckets += buckets * self.period < ts
        return buckets

    def last_at_or_before(self, ts: FloatArray) -> FloatArray:
        """Return the bucket of the last sampling time that is not after each time (time,)."""
        buckets: FloatArray = np.floor(ts / self.period)
        buckets -= buckets * self.period > ts
        buckets += (buckets + 1) * self.period <= ts
        return buckets

    def last_at_or_before_one(self, ts: float) -> float:
        """Return the bucket of the last sampling time that is not after a finite time."""
        bucket = float(floor(ts / self.period))
        if bucket * self.period > ts:
            return bucket - 1
        return bucket + 1 if (bucket + 1) * self.period <= ts else bucket

    def last_decided(self, ts: FloatArray) -> FloatArray:
        """Return the bucket of the last sampling time that an event at each time (time,) decides."""
        buckets: FloatArray = np.floor((ts - self._wait) / self.period)
        buckets -= buckets * self.period + self._wait > ts
        buckets += (buckets + 1) * self.period + self._wait <= ts
        return buckets
