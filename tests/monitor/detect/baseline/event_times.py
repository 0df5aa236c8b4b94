"""Event times of windows for tests of the baseline."""

import numpy as np

from monitor.core.arrays import FloatArray

__all__ = ["window_ts"]


def window_ts(count: int, period: float = 5.0, first: int = 0, steps: int = 3) -> FloatArray:
    """Return the event times of `count` windows in a row, which share readings: (window, step).

    Parameters
    ----------
    period : seconds between two readings.
    first : number of the first window's first reading; reading 0 is at time 0.
    """
    return (first + np.arange(count)[:, None] + np.arange(steps)) * period
