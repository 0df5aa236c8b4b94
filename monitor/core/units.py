"""Units of measurement, and conversions between units of one dimension."""

__all__ = ["convert", "convert_difference", "is_convertible", "list_units"]

# Unit -> its base unit, and the scale and offset with which a number in it becomes one in the base unit.
_UNITS: dict[str, tuple[str, float, float]] = {
    "degC": ("degC", 1.0, 0.0),
    "degF": ("degC", 5 / 9, -160 / 9),
    "K": ("degC", 1.0, -273.15),
    "%RH": ("%RH", 1.0, 0.0),
    "hPa": ("hPa", 1.0, 0.0),
    "mbar": ("hPa", 1.0, 0.0),
    "Pa": ("hPa", 0.01, 0.0),
    "kPa": ("hPa", 10.0, 0.0),
    "MPa": ("hPa", 10_000.0, 0.0),
    "bar": ("hPa", 1000.0, 0.0),
    "psi": ("hPa", 68.947572932, 0.0),
    "mm/s": ("mm/s", 1.0, 0.0),
    "m/s": ("mm/s", 1000.0, 0.0),
    "in/s": ("mm/s", 25.4, 0.0),
    "A": ("A", 1.0, 0.0),
    "mA": ("A", 0.001, 0.0),
    "V": ("V", 1.0, 0.0),
    "mV": ("V", 0.001, 0.0),
    "kV": ("V", 1000.0, 0.0),
    "L/min": ("L/min", 1.0, 0.0),
    "L/h": ("L/min", 1 / 60, 0.0),
    "L/s": ("L/min", 60.0, 0.0),
    "m3/h": ("L/min", 1000 / 60, 0.0),
    "m": ("m", 1.0, 0.0),
    "cm": ("m", 0.01, 0.0),
    "mm": ("m", 0.001, 0.0),
    "ppm": ("ppm", 1.0, 0.0),
    "lx": ("lx", 1.0, 0.0),
    "klx": ("lx", 1000.0, 0.0),
}


def is_convertible(unit: str, to_unit: str) -> bool:
    """Return whether numbers in `unit` can be converted to `to_unit`; every unit can be to itself."""
    return unit == to_unit or (unit in _UNITS and to_unit in _UNITS and _UNITS[unit][0] == _UNITS[to_unit][0])


def list_units(unit: str) -> list[str]:
    """Return all units that numbers in `unit` can be converted to, itself included."""
    return [other for other in _UNITS if is_convertible(unit, other)]


def convert(value: float, unit: str, to_unit: str) -> float:
    """Return a value in `unit` as a value in `to_unit`.

    Raises
    ------
    ValueError : `is_convertible` is false.
    """
    if unit == to_unit:
        return value
    _check(unit, to_unit)
    (_, scale, offset), (_, to_scale, to_offset) = _UNITS[unit], _UNITS[to_unit]
    return (value * scale + offset - to_offset) / to_scale


def convert_difference(difference: float, unit: str, to_unit: str) -> float:
    """Return a difference of two values in `unit` as a difference in `to_unit`: 9 degF are 5 degC.

    Raises
    ------
    ValueError : `is_convertible` is false.
    """
    if unit == to_unit:
        return difference
    _check(unit, to_unit)
    return difference * _UNITS[unit][1] / _UNITS[to_unit][1]


def _check(unit: str, to_unit: str) -> None:
    if not is_convertible(unit, to_unit):
        raise ValueError(f"{unit} can't be converted to {to_unit}")
