"""The features of a reading, in order, and what is known of sensors by their unit."""

from monitor.bundle import Feature

__all__ = ["FEATURES", "FEATURE_NAMES", "FLOORS"]

FEATURES = (
    Feature("temperature_1", "degC"),
    Feature("humidity_1", "%RH"),
    Feature("temperature_2", "degC"),
    Feature("humidity_2", "%RH"),
)
FEATURE_NAMES = [feature.name for feature in FEATURES]

# A fifth of the accuracy of the motes' sensor (Sensirion SHT11: 0.4 degC, 3 %RH): the change from one hour to
# the next in the difference of two good sensors.
FLOORS = {"degC": 0.08, "%RH": 0.5}
"""Smallest unit of a deviation, by the feature's unit and in it."""
