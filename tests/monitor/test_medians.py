import numpy as np
import pytest

from monitor.medians import median


@pytest.mark.parametrize("kind", ["<f4", "<f8"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
def test_as_numpy(count: int, kind: str) -> None:
    """A median is NumPy's to the bit, of even counts as of odd ones, along each axis."""
    values = np.random.default_rng(0).normal(20, 5, (count, 50, count)).astype(kind)
    for axis in (0, 2):
        np.testing.assert_array_equal(median(values, axis), np.median(values, axis=axis))
