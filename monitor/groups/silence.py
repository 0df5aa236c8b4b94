"""When a group counts as silent: a function of the time of its last reading alone."""

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = ["find_silent"]


def find_silent(last_seen: FloatArray, now: float, stale_after: float) -> NDArray[np.bool_]:
    """Return which groups are silent at `now`: (group,).

    Parameters
    ----------
    last_seen : when a reading of each group was last accepted, by the same clock as `now`, seconds (group,).
    stale_after : seconds without an accepted reading until a group is silent.
    """
    silent: NDArray[np.bool_] = now - last_seen >= stale_after
    return silent
