"""Kinds of sensor faults, as functions of the true values.

Definitions and their sources:

- `offset`: the true value plus a constant. Zidi et al. 2018; Noshad et al. 2019.
- `gain`: the true value times a constant. Zidi et al. 2018; Noshad et al. 2019.
- `stuck`: a constant value, well above or below the true values. Sharma et al. 2010, where it
  is called CONSTANT; Zidi et al. 2018; Noshad et al. 2019.
- `bounds`: values outside the measuring range, or far outside the range of the healthy values. Zidi et al.
  2018; Noshad et al. 2019 ("out of bounds").
- `spike`: a sharp change for one to three readings. Sharma et al. 2010, where it is called SHORT; Zidi et
  al. 2018; Noshad et al. 2019.
- `loss`: the sensor reads 0. Zidi et al. 2018; Noshad et al. 2019 ("data loss").
- `drift`, on request: the true value plus an error that grows from reading to reading (slow loss of
  calibration, Sharma et al. 2010). An episode begins when the error exceeds the usual variation of the
  sensor.
- `noise`, on request: for the length of an episode, the readings vary far more than the true values. Sharma
  et al. 2010, where it is called NOISE.

Zidi, Moulahi, Alaya, "Fault Detection in Wireless Sensor Networks Through SVM Classifier", IEEE Sensors
Journal 2018. Noshad et al., "Fault Detection in Wireless Sensor Networks through the Random Forest
Classifier", Sensors 2019. Sharma, Golubchik, Govindan, "Sensor faults: detection methods and prevalence in
real-world datasets", ACM Transactions on Sensor Networks 2010.

The fault sizes are choices of this project. The unit of size is the robust standard deviation of the sensor
(see `SensorStats.from_values`). Sizes range from the smallest that operators would regard as a fault to a few
times as much. A fault within the usual variation of the sensor would be a wrong label in training, so
`is_detectable` rejects it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from monitor.core.arrays import FloatArray
from training.data.features import Sensor

__all__ = [
    "DEFAULT_FAULT_KINDS",
    "FAULT_KINDS",
    "FaultKind",
    "SensorStats",
    "is_detectable",
]

# Minimum distance of each faulty value from the true value, in robust standard deviations.
_MIN_FAULT_STDS = 0.5
# Lower bound of the robust standard deviation, in accuracies of the sensor. The smallest fault is therefore
# not smaller than the specified error of a healthy sensor.
_MIN_STD_ACCURACIES = 2

_LAG_READINGS = 12
_MAX_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class SensorStats:
    """Statistics of one feature of one group while it is healthy, in the feature's unit."""

    robust_std: float
    """Robust standard deviation with lower bounds; see `from_values`."""
    p1: float
    """1st percentile."""
    p99: float
    """99th percentile."""
    measuring_range: tuple[float, float]
    """Smallest and largest value that the sensor can report. Only faults of the kind `bounds` are outside."""
    decimals: int
    """Digits after the decimal point that the sensor reports."""

    @classmethod
    def from_values(cls, values: FloatArray, sensor: Sensor) -> "SensorStats":
        """Compute the statistics from more than 12 healthy values of one feature (reading,).

        The robust standard deviation is the interquartile range divided by 1.349 (its value for a normal
        distribution with standard deviation 1), because a short event does not affect the quartiles. It is at
        least three times the 95th percentile of the changes over 12 readings, so that small changes after an
        hour of constant values are not regarded as faults, and at least twice the accuracy of the sensor.
        """
        p1, q1, q3, p99 = np.percentile(values, [1, 25, 75, 99]).tolist()
        changes = np.abs(values[_LAG_READINGS:] - values[:-_LAG_READINGS])
        min_std = _MIN_STD_ACCURACIES * sensor.accuracy
        robust_std = max((q3 - q1) / 1.349, 3 * float(np.percentile(changes, 95)), min_std)
        rounded = (d for d in range(_MAX_DECIMALS) if np.array_equal(np.round(values, d), values))
        return cls(robust_std, p1, p99, sensor.measuring_range, next(rounded, _MAX_DECIMALS))


def _offset(
    true_values: FloatArray, size: float, sensor: SensorStats, _rng: np.random.Generator
) -> FloatArray:
    return true_values + size * sensor.robust_std


def _gain(true_values: FloatArray, size: float, sensor: SensorStats, _rng: np.random.Generator) -> FloatArray:
    # The value nearest to zero changes by `size` robust standard deviations, all others by more.
    smallest = max(float(np.abs(true_values).min()), 1e-9)
    return true_values * (1 + size * sensor.robust_std / smallest)


def _stuck(
    true_values: FloatArray, size: float, sensor: SensorStats, _rng: np.random.Generator
) -> FloatArray:
    # The constant is above the largest or below the smallest true value, so it never equals a true value.
    extreme = float(true_values.max() if size > 0 else true_values.min())
    return np.full(len(true_values), extreme + size * sensor.robust_std, dtype=np.float64)


def _bounds(
    true_values: FloatArray, size: float, sensor: SensorStats, _rng: np.random.Generator
) -> FloatArray:
    extreme = sensor.p99 if size > 0 else sensor.p1
    return true_values + (extreme - float(true_values.mean()) + size * sensor.robust_std)


def _loss(
    true_values: FloatArray, _size: float, _sensor: SensorStats, _rng: np.random.Generator
) -> FloatArray:
    return np.zeros(len(true_values))


def _drift(
    true_values: FloatArray, size: float, sensor: SensorStats, _rng: np.random.Generator
) -> FloatArray:
    drifted: FloatArray = (
        true_values + np.linspace(np.sign(size) * _MIN_FAULT_STDS, size, len(true_values)) * sensor.robust_std
    )
    return drifted


def _noise(true_values: FloatArray, size: float, sensor: SensorStats, rng: np.random.Generator) -> FloatArray:
    # Each error has at least the minimum size: a reading with an error of almost 0 would not be faulty.
    scatter = rng.uniform(_MIN_FAULT_STDS, abs(size), len(true_values)) * rng.choice(
        [-1, 1], len(true_values)
    )
    scattered: FloatArray = true_values + scatter * sensor.robust_std
    return scattered


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A fault kind: the function that applies it, and its sizes and lengths."""

    apply: Callable[[FloatArray, float, SensorStats, np.random.Generator], FloatArray]
    """Returns the faulty values of an episode (reading,). Arguments: true values (reading,), signed size in
    robust standard deviations, statistics of the sensor, random generator."""
    size_range: tuple[float, float]
    """Smallest and largest absolute size, in robust standard deviations."""
    length_range: tuple[int, int] = (6, 30)
    """Smallest and largest number of readings in an episode."""
    measurable: bool = True
    """Whether all faulty values must be within the measuring range of the sensor."""


FAULT_KINDS: dict[str, FaultKind] = {
    "offset": FaultKind(_offset, (0.5, 2.0)),
    "gain": FaultKind(_gain, (0.5, 2.0)),
    "stuck": FaultKind(_stuck, (0.5, 2.0)),
    "bounds": FaultKind(_bounds, (4.0, 20.0), measurable=False),
    "spike": FaultKind(_offset, (1.0, 4.0), length_range=(1, 3)),
    "loss": FaultKind(_loss, (1.0, 1.0)),
    "drift": FaultKind(_drift, (1.0, 3.0), length_range=(30, 90)),
    "noise": FaultKind(_noise, (1.0, 3.0), length_range=(12, 40)),
}
DEFAULT_FAULT_KINDS = ("offset", "gain", "stuck", "bounds", "spike", "loss")
"""The kinds defined by Zidi et al. and Noshad et al.; other kinds are injected only on request."""


def is_detectable(kind: FaultKind, true_values: FloatArray, faulty: FloatArray, sensor: SensorStats) -> bool:
    """Return whether all faulty values are far enough from the true values, and within the measuring range.

    The measuring range is checked only if the kind requires it (`FaultKind.measurable`).
    """
    is_far = (
        np.abs(faulty - true_values).min() >= _MIN_FAULT_STDS * sensor.robust_std - 10.0**-sensor.decimals
    )
    low, high = sensor.measuring_range
    is_in_range = low <= faulty.min() and faulty.max() <= high
    return bool(is_far and (is_in_range or not kind.measurable))
