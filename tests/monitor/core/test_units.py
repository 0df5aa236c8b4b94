"""Tests of units and of what is assumed of a quantity's sensors."""

import pytest

from monitor.core.quantity_defaults import QUANTITY_DEFAULTS, find_defaults
from monitor.core.units import convert, convert_difference, is_convertible


@pytest.mark.parametrize(
    ("value", "unit", "to_unit", "expected"),
    [
        (212, "degF", "degC", 100),
        (300, "K", "degF", 80.33),
        (1.0, "bar", "hPa", 1000),
        (14.5038, "psi", "bar", 1.0),
        (6, "m3/h", "L/min", 100),
        (1, "furlong", "furlong", 1),
    ],
)
def test_conversions(value: float, unit: str, to_unit: str, expected: float) -> None:
    """Values are converted between units of one dimension."""
    assert convert(value, unit, to_unit) == pytest.approx(expected, rel=1e-5)


def test_differences() -> None:
    """A difference of temperatures is converted without the offset between the zeros of two scales."""
    assert convert_difference(9, "degF", "degC") == pytest.approx(5)
    assert convert_difference(9, "K", "degC") == 9


@pytest.mark.parametrize(("unit", "to_unit"), [("degC", "%RH"), ("g", "mm/s"), ("", "V"), ("degC", "C")])
def test_other_dimensions(unit: str, to_unit: str) -> None:
    """Units of different dimensions, and unknown units, can't be converted."""
    assert not is_convertible(unit, to_unit)
    with pytest.raises(ValueError, match="can't be converted"):
        convert(1.0, unit, to_unit)


def test_defaults_in_another_unit() -> None:
    """The defaults of a quantity are given in the unit of the feature."""
    defaults = find_defaults("temperature", "degF")
    assert defaults is not None
    assert (defaults.accuracy, *defaults.measuring_range) == pytest.approx((0.72, -40, 257))
    assert find_defaults("vibration", "g") is None
    assert find_defaults("weight", "kg") is None


@pytest.mark.parametrize("quantity", QUANTITY_DEFAULTS)
def test_defaults_are_ordered(quantity: str) -> None:
    """A sensor's range lies within the limits, and its floor is below its accuracy."""
    defaults = QUANTITY_DEFAULTS[quantity]
    assert defaults.limits[0] < defaults.measuring_range[0] < defaults.measuring_range[1] < defaults.limits[1]
    assert 0 < defaults.floor < defaults.accuracy
