"""Detects that the wall clock was set: it moved by another amount than the monotonic clock."""

__all__ = ["MIN_STEP_S", "ClockSteps"]

MIN_STEP_S = 5.0
"""Seconds by which the wall clock must move against the monotonic clock between two observations to count as
set. Time synchronization slews smaller differences away, and a thread may be interrupted between reading the
two clocks."""


class ClockSteps:
    """Compares the wall clock with the monotonic clock.

    Each observation is compared with the one before, so a clock that is slewed over hours was not set.
    """

    def __init__(self) -> None:
        self._difference: float | None = None  # of the two clocks, seconds

    def observe(self, wall: float, monotonic: float) -> float:
        """Return the seconds by which the wall clock was set since the last call: negative: back, 0: not set.

        Parameters
        ----------
        wall : seconds since the Unix epoch.
        monotonic : monotonic seconds, read at the same time.
        """
        previous, self._difference = self._difference, wall - monotonic
        if previous is None or abs(self._difference - previous) < MIN_STEP_S:
            return 0.0
        return self._difference - previous
