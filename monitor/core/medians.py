"""Medians of few values, for many rows at once."""

import numpy as np

from monitor.core.arrays import FloatArray, IndexArray

__all__ = ["median", "median_high", "median_low_high"]

_MIN_MAX_SIZE = 3


def median(values: FloatArray) -> FloatArray:
    """Return NumPy's median of the last axis, which it leaves (..., 1), at a fraction of its price."""
    ordered, last = np.sort(values), values.shape[-1] - 1
    low, high = last // 2, last - last // 2
    found: FloatArray = (ordered[..., low : low + 1] + ordered[..., high : high + 1]) / 2
    return found


def median_high(values: FloatArray) -> FloatArray:
    """Return the median of values (one of them, row, feature), the greater where two are: (row, feature)."""
    found: FloatArray
    if len(values) == _MIN_MAX_SIZE:
        one, two, three = values[0], values[1], values[2]
        # A fifth of the time that sorting takes.
        found = np.maximum(np.minimum(one, two), np.minimum(np.maximum(one, two), three))
    else:
        found = np.sort(values, axis=0)[len(values) // 2]
    return found


def median_low_high(rings: FloatArray, counts: IndexArray) -> tuple[FloatArray, FloatArray]:
    """Return the two in the middle, which may be one, of the first values in each ring: (row, feature) each.

    Parameters
    ----------
    rings : (row, place, feature).
    counts : how many places are filled, the first ones, at least one; more than there are is all (row,).
    """
    filled = np.minimum(counts, rings.shape[1])
    is_filled = np.arange(rings.shape[1]) < filled[:, None]  # (row, place)
    ordered = np.sort(np.where(is_filled[:, :, None], rings, np.inf), axis=1)
    rows = np.arange(len(rings))
    return ordered[rows, (filled - 1) // 2], ordered[rows, filled // 2]
