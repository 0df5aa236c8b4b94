"""The features of a reading, in order, and the minimum unit of their deviation from the baseline."""

from monitor.bundle import Feature

__all__ = ["FEATURES", "FEATURE_NAMES", "FLOORS", "QUANTITIES"]

FEATURES = (
    Feature("temperature_1", "degC"),
    Feature("humidity_1", "%RH"),
    Feature("temperature_2", "degC"),
    Feature("humidity_2", "%RH"),
)
FEATURE_NAMES = [feature.name for feature in FEATURES]
QUANTITIES = [feature.measured_quantity for feature in FEATURES]

# A fifth of the accuracy of the motes' sensor (Sensirion SHT11: 0.4 degC, 3 %RH). The difference between two
# healthy sensors changes by about this much from one hour to the next.
FLOORS = {"degC": 0.08, "%RH": 0.5}
"""Unit of the feature -> minimum unit of a deviation from the baseline, in the unit of the feature."""
