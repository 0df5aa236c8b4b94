"""Limits how many requests a second are read, so that a flood of them doesn't hold up readings."""

import time
from collections.abc import Callable

__all__ = ["MAX_REQUESTS_PER_S", "RequestRate"]

MAX_REQUESTS_PER_S = 50
"""Requests a second that are read and answered on average. One takes 0.5 ms on the network thread."""
# Requests at once after a pause: an operator's program that acknowledges every incident of a plant.
_BURST = 200


class RequestRate:
    """Admits so many requests a second, on average. Not thread-safe.

    Parameters
    ----------
    monotonic : returns monotonic seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._allowance = float(_BURST)
        self._updated_at = monotonic()

    def admit(self) -> bool:
        """Return whether to read a request that has come now."""
        now = self._monotonic()
        earned = (now - self._updated_at) * MAX_REQUESTS_PER_S
        self._allowance, self._updated_at = min(float(_BURST), self._allowance + earned), now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True
