"""What the checks need to know of the sensors, as arrays with an entry for each feature."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.manifest import FLOORS_PER_ACCURACY, BaselineSpec, Feature
from monitor.core.arrays import FloatArray
from monitor.core.quantities import find_neighbours
from monitor.core.quantity_defaults import find_defaults

__all__ = ["Sensors"]

_END_QUANTITY = "humidity"
# Share of the measuring range that is its end: sensors have their floor at 0 or at 1 %RH, and stand at 99.9
# or 100 %RH in fog.
_END_SHARE = 0.01
# Distance from the neighbours that is far, in accuracies: 15 %RH.
_FAR_ACCURACIES = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Sensors:
    """Properties of the sensors of a group, in the units of the features."""

    features: tuple[Feature, ...]
    """The features in order: (feature,)."""
    low: FloatArray
    """Lowest value that each sensor can have: (feature,)."""
    high: FloatArray
    """Highest value that each sensor can have: (feature,)."""
    accuracy: FloatArray
    """Error of each sensor up to which it is healthy: (feature,); infinite where nothing is known of it."""
    neighbours: tuple[tuple[int, ...], ...]
    """Feature indices of the neighbours of each feature: (feature,)."""
    has_neighbours: NDArray[np.bool_]
    """Whether each feature has neighbours: (feature,)."""
    neighbour_weights: FloatArray
    """Values @ weights is the mean of the neighbours of each feature: (feature, feature); 0 where there are
    none."""
    low_end: FloatArray
    """Value up to which a humidity sensor is at the low end of its range: (feature,); -inf for others."""
    high_end: FloatArray
    """Value from which it is at the high end: (feature,); inf for others."""

    @classmethod
    def from_features(cls, features: Sequence[Feature], baseline: BaselineSpec | None) -> "Sensors":
        """Collect the properties of the features of a bundle.

        Parameters
        ----------
        baseline : its floors, which a deadband raises, are the least that an accuracy may be; None: there are
            none.
        """
        floors = (0.0,) * len(features) if baseline is None else baseline.floors
        quantities = [feature.measured_quantity for feature in features]
        neighbours = tuple(tuple(find_neighbours(quantities, index)) for index in range(len(features)))
        weights = np.zeros((len(features), len(features)))
        for index, others in enumerate(neighbours):
            weights[list(others), index] = 1 / max(len(others), 1)
        limits = [feature.limits for feature in features]
        ends = [_find_ends(feature) for feature in features]
        return cls(
            features=tuple(features),
            low=np.array([low for low, _ in limits]),
            high=np.array([high for _, high in limits]),
            accuracy=np.array(
                [_find_accuracy(feature, floor) for feature, floor in zip(features, floors, strict=True)]
            ),
            neighbours=neighbours,
            has_neighbours=np.array([bool(others) for others in neighbours]),
            neighbour_weights=weights,
            low_end=np.array([low for low, _ in ends]),
            high_end=np.array([high for _, high in ends]),
        )

    def neighbour_means(self, values: FloatArray) -> FloatArray:
        """Return the mean of the neighbours of each feature (..., feature); 0 where there are none."""
        means: FloatArray = values @ self.neighbour_weights
        return means

    def is_far(self, values: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which sensors are far from their neighbours: (..., feature).

        Parameters
        ----------
        values : raw values (..., feature).
        others : mean of the neighbours of each feature (..., feature).
        """
        far: NDArray[np.bool_] = np.abs(others - values) >= _FAR_ACCURACIES * self.accuracy
        return far

    def is_usual_end(self, values: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which sensors are at an end of their range, but not far from their neighbours.

        Parameters
        ----------
        values, others : as in `is_far`.
        """
        is_end: NDArray[np.bool_] = (values <= self.low_end) | (values >= self.high_end)
        return is_end & ~self.is_far(values, others)

    def describe_neighbours(self, index: int) -> str:
        """Return the names of a feature's neighbours as text."""
        return " and ".join(self.features[other].name for other in self.neighbours[index])


def _find_ends(feature: Feature) -> tuple[float, float]:
    """Return the values up to which and from which a humidity sensor is at an end of its range."""
    defaults = find_defaults(feature.measured_quantity, feature.unit)
    if feature.measured_quantity != _END_QUANTITY or defaults is None:
        return -math.inf, math.inf
    low, high = defaults.measuring_range
    margin = _END_SHARE * (high - low)
    return low + margin, high - margin


def _find_accuracy(feature: Feature, floor: float) -> float:
    defaults = find_defaults(feature.measured_quantity, feature.unit)
    accuracy = feature.accuracy
    if accuracy is None:
        accuracy = 0.0 if defaults is None else defaults.accuracy
    return max(accuracy, FLOORS_PER_ACCURACY * floor) or math.inf
