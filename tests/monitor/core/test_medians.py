import numpy as np
import pytest

from monitor.core.medians import median, median_high, median_low_high


@pytest.mark.parametrize("count", [1, 3, 5, 9])
def test_median_high_equals_numpy(count: int) -> None:
    """The high median of an odd number of values equals NumPy's median to the bit."""
    values = np.random.default_rng(0).normal(20, 5, (count, 50, 4))
    np.testing.assert_array_equal(median_high(values), np.median(values, axis=0))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_median_equals_numpy(count: int) -> None:
    """The median equals NumPy's to the bit, for odd and even numbers of values."""
    values = np.random.default_rng(0).normal(20, 5, (5, 50, count))
    np.testing.assert_array_equal(median(values), np.median(values, axis=-1, keepdims=True))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 11, 12])
def test_mean_of_low_and_high_median_equals_numpy(count: int) -> None:
    """The mean of the low and the high median is the median of the filled slots; other slots are ignored."""
    rings = np.random.default_rng(0).normal(20, 5, (50, 11, 2))
    low, high = median_low_high(rings, np.full(50, count))
    np.testing.assert_allclose((low + high) / 2, np.median(rings[:, :count], axis=1))
