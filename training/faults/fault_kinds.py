"""Kinds of sensor faults, as functions of the true values.

Where their definitions come from:

- `offset`: the true value plus a constant. Zidi et al. 2018; Noshad et al. 2019.
- `gain`: the true value times a constant. Zidi et al. 2018; Noshad et al. 2019.
- `stuck`: one value that no longer changes, well above or below the true ones. Sharma et al. 2010, where it
  is called CONSTANT; Zidi et al. 2018; Noshad et al. 2019.
- `bounds`: values outside what the sensor can measure, or far outside what it has measured. Zidi et al.
  2018; Noshad et al. 2019 ("out of bounds").
- `spike`: a sharp change for one to three readings. Sharma et al. 2010, where it is called SHORT; Zidi et
  al. 2018; Noshad et al. 2019.
- `loss`: the sensor reads 0. Zidi et al. 2018; Noshad et al. 2019 ("data loss").
- `drift`, on request: the true value plus an error that grows from reading to reading, the slow loss of
  calibration of Sharma et al. 2010. An episode begins where the error exceeds the sensor's own variation.
- `noise`, on request: readings that scatter far more than the true ones for a while. Sharma et al. 2010,
  where it is called NOISE.

Zidi, Moulahi, Alaya, "Fault Detection in Wireless Sensor Networks Through SVM Classifier", IEEE Sensors
Journal 2018. Noshad et al., "Fault Detection in Wireless Sensor Networks through the Random Forest
Classifier", Sensors 2019. Sharma, Golubchik, Govindan, "Sensor faults: detection methods and prevalence in
real-world datasets", ACM Transactions on Sensor Networks 2010.

Sizes are this project's: multiples of the sensor's own spread (see `SensorStats.from_values`), from the
smallest that operators would call a fault to a few times that. A "fault" within the sensor's usual variation
would be a wrong label in training, so `is_detectable` refuses it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from monitor.core.arrays import FloatArray

__all__ = [
    "DEFAULT_FAULT_KINDS",
    "FAULT_KINDS",
    "MEASURING_RANGES",
    "MIN_SPREAD",
    "FaultKind",
    "SensorStats",
    "is_detectable",
]

# What a mote can report, by unit. Only faults of the kind `bounds` exceed it.
MEASURING_RANGES = {"degC": (-40.0, 125.0), "%RH": (0.0, 100.0)}
# Minimum distance of each faulty reading from the true one, in spreads.
_MIN_FAULT_SPREADS = 0.5
# Twice the accuracy of a mote's sensor (Sensirion SHT11: 0.4 degC, 3 %RH), so that the smallest fault is not
# smaller than the error that the manufacturer allows a healthy sensor.
MIN_SPREAD = {"degC": 0.8, "%RH": 6.0}

_LAG_READINGS = 12
_MAX_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class SensorStats:
    """Statistics of one feature of one group while it is healthy, in the feature's unit."""

    spread: float
    """Its variation, as a standard deviation; see `from_values`."""
    p1: float
    """1st percentile."""
    p99: float
    """99th percentile."""
    measuring_range: tuple[float, float]
    """Smallest and largest value that it can report."""
    decimals: int
    """Digits after the decimal point that it reports."""

    @classmethod
    def from_values(cls, values: FloatArray, unit: str) -> "SensorStats":
        """Compute them from healthy readings of one feature (reading,), more than 12 of them.

        The spread is the interquartile range as a standard deviation, since that isn't affected by a short
        event. It is at least three times the 95th percentile of the changes within 12 readings, so that small
        changes after an hour of calm are no faults, and at least twice the accuracy of a mote's sensor.
        """
        p1, q1, q3, p99 = np.percentile(values, [1, 25, 75, 99]).tolist()
        changes = np.abs(values[_LAG_READINGS:] - values[:-_LAG_READINGS])
        spread = max((q3 - q1) / 1.349, 3 * float(np.percentile(changes, 95)), MIN_SPREAD[unit])
        rounded = (d for d in range(_MAX_DECIMALS) if np.array_equal(np.round(values, d), values))
        return cls(spread, p1, p99, MEASURING_RANGES[unit], next(rounded, _MAX_DECIMALS))


def _offset(
    true_values: FloatArray, size: float, sensor: SensorStats, _rng: np.random.Generator
) -> FloatArray:
    return true_values + size * sensor.spread


def _gain(true_values: FloatArray, size: float, sensor: SensorStats, _rng: np.random.Generator) -> FloatArray:
    # A gain changes the reading nearest to zero least: that one changes by `size`, the others by more.
    smallest = max(float(np.abs(true_values).min()), 1e-9)
    return true_values * (1 + size * sensor.spread / smallest)


def _stuck(
    true_values: FloatArray, size: float, sensor: SensorStats, _rng: np.random.Generator
) -> FloatArray:
    # Beyond the largest or smallest true value, so that no true value equals the constant.
    extreme = float(true_values.max() if size > 0 else true_values.min())
    return np.full(len(true_values), extreme + size * sensor.spread, dtype=np.float64)


def _bounds(
    true_values: FloatArray, size: float, sensor: SensorStats, _rng: np.random.Generator
) -> FloatArray:
    extreme = sensor.p99 if size > 0 else sensor.p1
    return true_values + (extreme - float(true_values.mean()) + size * sensor.spread)


def _loss(
    true_values: FloatArray, _size: float, _sensor: SensorStats, _rng: np.random.Generator
) -> FloatArray:
    return np.zeros(len(true_values))


def _drift(
    true_values: FloatArray, size: float, sensor: SensorStats, _rng: np.random.Generator
) -> FloatArray:
    drifted: FloatArray = (
        true_values + np.linspace(np.sign(size) * _MIN_FAULT_SPREADS, size, len(true_values)) * sensor.spread
    )
    return drifted


def _noise(true_values: FloatArray, size: float, sensor: SensorStats, rng: np.random.Generator) -> FloatArray:
    # At least the minimum distance: a reading with an error of almost 0 would not be faulty.
    scatter = rng.uniform(_MIN_FAULT_SPREADS, abs(size), len(true_values)) * rng.choice(
        [-1, 1], len(true_values)
    )
    scattered: FloatArray = true_values + scatter * sensor.spread
    return scattered


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault."""

    apply: Callable[[FloatArray, float, SensorStats, np.random.Generator], FloatArray]
    """Returns the faulty values of an episode, given the true ones (reading,), the size in spreads with its
    sign, the sensor, and a random generator."""
    size_range: tuple[float, float]
    """Smallest and largest size, in spreads, without the sign."""
    length_range: tuple[int, int] = (6, 30)
    """Smallest and largest number of readings in an episode."""
    measurable: bool = True
    """Whether faulty values stay within what a sensor can report."""


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
"""The kinds of Zidi et al. and Noshad et al.; the others are injected on request only."""


def is_detectable(kind: FaultKind, true_values: FloatArray, faulty: FloatArray, sensor: SensorStats) -> bool:
    """Return whether each faulty value of an episode is far enough from the true one, and reportable."""
    is_far = np.abs(faulty - true_values).min() >= _MIN_FAULT_SPREADS * sensor.spread - 10.0**-sensor.decimals
    low, high = sensor.measuring_range
    is_in_range = low <= faulty.min() and faulty.max() <= high
    return bool(is_far and (is_in_range or not kind.measurable))
