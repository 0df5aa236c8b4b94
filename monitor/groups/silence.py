"""Determines which groups are silent, from the times of their last readings."""

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = ["find_silent"]


def find_silent(last_seen: FloatArray, now: float, stale_after: float) -> NDArray[np.bool_]:
    """Return which groups are silent at `now`: (group,).

    Parameters
    ----------
    last_seen : time of the last accepted reading of each group, seconds, same clock as `now` (group,).
    stale_after : seconds without an accepted reading after which a group is silent.
    """
    silent: NDArray[np.bool_] = now - last_seen >= stale_after
    return silent
