"""Guesses the unit of values from their names and their range."""

from collections.abc import Sequence

from monitor.cli.discover.statistics import Series
from monitor.cli.discover.words import Label

__all__ = ["convert"]

_MAX_CELSIUS, _MAX_HUMIDITY = 150.0, 105.0
_MIN_FAHRENHEIT = 50.0  # above it, a room in degC would be an oven
_FACTORS = (10.0, 100.0, 1000.0)
_FROM_FAHRENHEIT = {"scale": 0.5555555555555556, "offset": -17.77777777777778}


def convert(label: Label, series: Sequence[Series]) -> tuple[dict[str, float], str]:
    """Return how the numbers become degC or %RH, and what the reader must decide.

    Returns
    -------
    ({}, "") if the numbers are plausible as they are, or if the quantity isn't known here.
    """
    low = min(one.low for one in series)
    high = max(one.high for one in series)
    seen = f"{low:g} to {high:g}"
    if label.quantity == "temperature":
        if label.is_fahrenheit:
            return _FROM_FAHRENHEIT, f"{seen} by its name in degF, converted to degC"
        if high > _MAX_CELSIUS:
            return _divide(high, _MAX_CELSIUS / 2, seen, "degC")
        if low > _MIN_FAHRENHEIT:
            return {}, f"{seen}: degC? of degF, scale = 0.5555556 and offset = -17.7777778 make degC"
    if label.quantity == "humidity":
        if high > _MAX_HUMIDITY:
            return _divide(high, _MAX_HUMIDITY, seen, "%RH")
        if 0 < high <= 1 and low >= 0:
            return {"scale": 100.0}, f"{seen}: a fraction? taken times 100 as %RH"
    return {}, ""


def _divide(high: float, limit: float, seen: str, unit: str) -> tuple[dict[str, float], str]:
    """Return the smallest power of ten that makes the numbers plausible."""
    for factor in _FACTORS:
        if high / factor <= limit:
            return {
                "scale": 1 / factor
            }, f"{seen}: {factor:g} times the value? taken as {high / factor:g} {unit}"
    return {}, f"{seen} is no plausible {unit}: give scale and offset"
