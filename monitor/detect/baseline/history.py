"""The last blocks of each group: which histories are full, and the level, which is their median."""

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.medians import median_low_high

__all__ = ["HISTORY_BLOCKS", "median_level", "partial_mask"]

_Mask = NDArray[np.bool_]

HISTORY_BLOCKS = 11
"""Number of blocks whose deviations are kept."""


def partial_mask(blocks_before: IndexArray) -> _Mask | None:
    """Return which groups have a history that is not full: (group, 1). None if all are full, as most often.

    Learning a block takes half the time if no group needs the rules for a partial history.

    Parameters
    ----------
    blocks_before : number of blocks learnt before this one (group,).
    """
    is_partial = blocks_before[:, None] < HISTORY_BLOCKS
    return is_partial if np.count_nonzero(is_partial) else None


def median_level(
    ring: FloatArray, blocks_before: IndexArray, is_partial: _Mask | None, previous_level: FloatArray
) -> FloatArray:
    """Return the level after a block: (group, representative).

    Parameters
    ----------
    ring : deviations of the last blocks (group, block, representative).
    blocks_before : number of blocks learnt before the newest one (group,).
    is_partial : groups whose history is not full, from `partial_mask` (group, 1).
    previous_level : level before the block (group, representative).
    """
    ring = ring.astype(np.float64)
    if is_partial is None:
        ring.sort(axis=1)
        level: FloatArray = ring[:, HISTORY_BLOCKS // 2]
        return level
    low, high = median_low_high(ring, blocks_before + 1)
    # An even number of blocks has two middle values. The level is the previous level, limited to the range
    # between the two; their mean may be a value that no block had.
    return np.minimum(np.maximum(previous_level, low), high)
