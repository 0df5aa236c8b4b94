"""What is known of a feature's sensor: from the settings, else from what is usual for its quantity."""

from dataclasses import dataclass

from monitor.bundle import Feature
from monitor.core.quantity_defaults import find_defaults

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
        low = defaults.measuring_range[0] if low is None else low
        high = defaults.measuring_range[1] if high is None else high
    if accuracy is None or low is None or high is None or feature.floor is None:
        raise ValueError(f"{feature.name}: its sensor's accuracy, low and high are not known")
    return Sensor(accuracy, feature.floor, (low, high))
