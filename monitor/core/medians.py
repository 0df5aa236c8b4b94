"""Medians over short axes for many rows at once, faster than `numpy.median`."""

import numpy as np

from monitor.core.arrays import FloatArray, IndexArray

__all__ = ["median", "median_high", "median_low_high"]

_MIN_MAX_SIZE = 3


def median(values: FloatArray) -> FloatArray:
    """Return the median along the last axis, which is kept with length 1: (..., n) -> (..., 1).

    Equals `numpy.median(values, axis=-1, keepdims=True)`, at a fraction of its cost.
    """
    ordered, last = np.sort(values), values.shape[-1] - 1
    low, high = last // 2, last - last // 2
    result: FloatArray = (ordered[..., low : low + 1] + ordered[..., high : high + 1]) / 2
    return result


def median_high(values: FloatArray) -> FloatArray:
    """Return the high median along the first axis: (n, row, feature) -> (row, feature).

    For an even n this is the greater of the two middle values, as in `statistics.median_high`.
    """
    result: FloatArray
    if len(values) == _MIN_MAX_SIZE:
        first, second, third = values[0], values[1], values[2]
        # Takes a fifth of the time of sorting.
        result = np.maximum(np.minimum(first, second), np.minimum(np.maximum(first, second), third))
    else:
        result = np.sort(values, axis=0)[len(values) // 2]
    return result


def median_low_high(rings: FloatArray, counts: IndexArray) -> tuple[FloatArray, FloatArray]:
    """Return the low and the high median of the filled slots of each ring buffer: (row, feature) each.

    The two are equal where the number of filled slots is odd.

    Parameters
    ----------
    rings : one ring buffer per row: (row, slot, feature).
    counts : number of values written to each ring so far, at least 1: (row,). If this is less
        than the ring's length, only the first `counts` slots are filled; otherwise all slots are.
    """
    filled = np.minimum(counts, rings.shape[1])
    is_filled = np.arange(rings.shape[1]) < filled[:, None]  # (row, slot)
    ordered = np.sort(np.where(is_filled[:, :, None], rings, np.inf), axis=1)
    rows = np.arange(len(rings))
    return ordered[rows, (filled - 1) // 2], ordered[rows, filled // 2]
