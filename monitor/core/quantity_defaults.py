"""What is assumed of a sensor by the quantity that it measures, where no setting says more."""

from dataclasses import dataclass

from monitor.core.units import convert, convert_difference, is_convertible

__all__ = ["QUANTITY_DEFAULTS", "QuantityDefaults", "find_defaults"]

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class QuantityDefaults:
    """Properties of the common sensors of a quantity, in `unit`."""

    unit: str
    accuracy: float
    """Largest error that data sheets of common sensors allow."""
    floor: float
    """Smallest unit of a deviation from the baseline: the difference between two healthy sensors changes by
    about this much from one hour to the next."""
    measuring_range: Range
    """Lowest and highest value that a common sensor can report. Injected faults stay within."""
    limits: Range
    """Values beyond are wrong whatever the sensor is."""

    def in_unit(self, unit: str) -> "QuantityDefaults":
        """Return the same for another unit.

        Raises
        ------
        ValueError : the unit isn't one of this quantity.
        """

        def convert_range(values: Range) -> Range:
            low, high = (convert(value, self.unit, unit) for value in values)
            return low, high

        return QuantityDefaults(
            unit,
            convert_difference(self.accuracy, self.unit, unit),
            convert_difference(self.floor, self.unit, unit),
            convert_range(self.measuring_range),
            convert_range(self.limits),
        )


# The accuracy is that of: Sensirion SHT11 (temperature, humidity), Bosch BMP280 (pressure), ISO 2954 at 10 %
# of 5 mm/s (vibration), class 1 transducers of 50 A and 230 V (current, voltage), class 2 meters at 50 L/min
# (flow), ultrasonic level meters at 0.25 % of 8 m, Senseair S8 (CO2), photodiodes such as BH1750 at 20 % of
# 500 lx (light). Floors of temperature and humidity were chosen on recordings; the others are a fifth of the
# accuracy. Limits leave a margin for sensors that read a little more than there can be.
QUANTITY_DEFAULTS: dict[str, QuantityDefaults] = {
    "temperature": QuantityDefaults("degC", 0.4, 0.08, (-40.0, 125.0), (-100.0, 1400.0)),
    "humidity": QuantityDefaults("%RH", 3.0, 0.5, (0.0, 100.0), (-5.0, 110.0)),
    "pressure": QuantityDefaults("hPa", 1.0, 0.2, (300.0, 1250.0), (-1100.0, 1_000_000.0)),
    "vibration": QuantityDefaults("mm/s", 0.5, 0.1, (0.0, 100.0), (-1.0, 1000.0)),
    "current": QuantityDefaults("A", 0.5, 0.1, (-100.0, 100.0), (-10_000.0, 10_000.0)),
    "voltage": QuantityDefaults("V", 2.3, 0.46, (-1000.0, 1000.0), (-1_000_000.0, 1_000_000.0)),
    "flow": QuantityDefaults("L/min", 1.0, 0.2, (0.0, 1000.0), (-100_000.0, 100_000.0)),
    "level": QuantityDefaults("m", 0.02, 0.004, (0.0, 20.0), (-1.0, 1000.0)),
    "co2": QuantityDefaults("ppm", 40.0, 8.0, (0.0, 10_000.0), (-100.0, 1_000_000.0)),
    "light": QuantityDefaults("lx", 100.0, 20.0, (0.0, 100_000.0), (-100.0, 200_000.0)),
}
"""Quantity -> properties of its sensors."""


def find_defaults(quantity: str, unit: str) -> QuantityDefaults | None:
    """Return the properties of a quantity's sensors in `unit`; None if they aren't known.

    An unknown quantity or one in a unit that can't be converted (vibration in g, for example) has none.
    """
    defaults = QUANTITY_DEFAULTS.get(quantity)
    if defaults is None or not is_convertible(defaults.unit, unit):
        return None
    return defaults.in_unit(unit)
