"""What is known of a feature's sensor: from the settings, else from what is usual for its quantity."""

from dataclasses import dataclass

from monitor.bundle import Feature
from monitor.core.quantity_defaults import QuantityDefaults, find_defaults

__all__ = ["Sensor", "describe_sensor"]


@dataclass(frozen=True, slots=True)
class Sensor:
    """Properties of the sensor of one feature, in the feature's unit."""

    accuracy: float
    """Largest error that its data sheet allows."""
    floor: float
    """Smallest unit of a deviation from the baseline."""
    measuring_range: tuple[float, float]
    """Lowest and highest value that it can report."""


def describe_sensor(feature: Feature) -> Sensor:
    """Return the properties of a feature's sensor.

    Raises
    ------
    ValueError : the feature lacks one, and its quantity in its unit has no default.
    """
    defaults = find_defaults(feature.measured_quantity, feature.unit)
    accuracy, low, high = feature.accuracy, feature.low, feature.high
    if defaults is not None:
        accuracy = defaults.accuracy if accuracy is None else accuracy
        low, high = _complete_range(low, high, defaults)
    if accuracy is None or low is None or high is None or feature.floor is None:
        raise ValueError(f"{feature.name}: its sensor's accuracy, low and high are not known")
    return Sensor(accuracy, feature.floor, (low, high))


def _complete_range(low: float | None, high: float | None, defaults: QuantityDefaults) -> tuple[float, float]:
    """Return the range between two values, of which the one that is None follows from the quantity.

    It is the end of what a common sensor reports, or the limit where the sensor measures beyond that: from
    200 degC on.
    """
    usual_low, usual_high = defaults.measuring_range
    lowest, highest = defaults.limits
    if low is None:
        low = usual_low if high is None or high > usual_low else lowest
    if high is None:
        high = usual_high if low < usual_high else highest
    return low, high
