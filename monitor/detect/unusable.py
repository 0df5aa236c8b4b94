"""Finds out that readings or values come and none of them is usable, and the commonest reason."""

from collections import Counter
from collections.abc import Sequence

from monitor.core.printable import printable
from monitor.core.readings import RejectedReading
from monitor.core.reasons import strip_variable_text
from monitor.core.values import RejectedValue

__all__ = ["UnusableReadings"]

# Seconds after the first reading until nothing usable is a problem: after a start a bad sender may be first.
_START_SPAN_S = 5.0
# Seconds during which unusable readings must keep coming, once there was a usable one. In a burst of slow
# stations the last ones may be bad.
_SPAN_S = 30.0
# Fewer unusable readings than these are not a problem, once there was a usable one.
_MIN_COUNT = 3
# Readings of a batch whose reasons are counted, which takes 1 µs for each.
_MAX_SAMPLES = 20
_MAX_REASONS = 100


class UnusableReadings:
    """Counts the readings since the last usable one. Times are monotonic seconds.

    Parameters
    ----------
    noun : what is counted, as text: "readings" or "values".
    """

    def __init__(self, noun: str = "readings") -> None:
        self._noun = noun
        self._was_usable = False
        self._count = 0
        self._first_at = self._last_at = 0.0
        self._reasons: Counter[str] = Counter()  # by outcome and reason without variable text
        self._examples: dict[str, RejectedReading | RejectedValue] = {}

    def restart(self) -> None:
        """Begin again, because a usable reading came."""
        self._was_usable = True
        if self._count:
            self._count = 0
            self._reasons.clear()
            self._examples.clear()

    def add(self, rejected: Sequence[RejectedReading | RejectedValue], now: float) -> None:
        """Count the readings of a batch in which none is usable."""
        if not rejected:
            return
        if not self._count:
            self._first_at = now
        self._last_at = now
        self._count += len(rejected)
        for reading in rejected[:_MAX_SAMPLES]:
            key = f"{reading.outcome} {strip_variable_text(reading.reason)}"
            if key in self._examples or len(self._examples) < _MAX_REASONS:
                self._examples[key] = reading
                self._reasons[key] += 1

    def describe_problem(self, now: float) -> str:
        """Return how many readings came with none usable, and the commonest reason; "" if that is normal."""
        if not self._count:
            return ""
        if self._was_usable:
            if self._count < _MIN_COUNT or self._last_at - self._first_at < _SPAN_S:
                return ""
            since = "since the last usable one"
        else:
            if now - self._first_at < _START_SPAN_S:
                return ""
            since = "since the start"
        return self.describe(since)

    def describe(self, since: str) -> str:
        """Return how many readings were counted, and the commonest reason; "" if there are none.

        Parameters
        ----------
        since : in which time they came, as text.
        """
        if not self._count:
            return ""
        ((key, _),) = self._reasons.most_common(1)
        example = self._examples[key]
        reason = printable(example.reason)
        return (
            f"none of {self._count:,} {self._noun} {since} is usable; most often {example.outcome}: {reason}"
        )
