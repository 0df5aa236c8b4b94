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
- `drift`, on request: the true value plus what grows from reading to reading, the slow loss of calibration of
  Sharma et al. 2010. An episode begins where it has left the sensor's own wander.
- `noise`, on request: readings that scatter far more than the true ones do for a while. Sharma et al. 2010,
  where it is called NOISE.

Zidi, Moulahi, Alaya, "Fault Detection in Wireless Sensor Networks Through SVM Classifier", IEEE Sensors
Journal 2018. Noshad et al., "Fault Detection in Wireless Sensor Networks through the Random Forest
Classifier", Sensors 2019. Sharma, Golubchik, Govindan, "Sensor faults: detection methods and prevalence in
real-world datasets", ACM Transactions on Sensor Networks 2010.

Sizes are this project's: multiples of the sensor's own spread (see `Sensor.of`), from the smallest that a
plant would call a fault to a few times that. A "fault" within what the sensor does anyway would only teach a
model noise, so `shows` refuses it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from monitor.core.arrays import FloatArray

__all__ = ["DEFAULT_KINDS", "KINDS", "LEAST_SPREAD", "LIMITS", "Kind", "Sensor", "shows"]

# What a mote can report at all, by unit. Only `bounds` goes beyond.
LIMITS = {"degC": (-40.0, 125.0), "%RH": (0.0, 100.0)}
# Each faulty reading is at least this many spreads from the true one.
_LEAST = 0.5
# Twice the accuracy of a mote's sensor (Sensirion SHT11: 0.4 degC, 3 %RH), so that the least fault is no
# less than what the maker allows a healthy one.
LEAST_SPREAD = {"degC": 0.8, "%RH": 6.0}

_WANDER_READINGS = 12
_MOST_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Sensor:
    """What one feature of one group does while it is healthy, in its own unit."""

    spread: float
    """How far it strays."""
    low: float
    """Its first percentile."""
    high: float
    """Its last percentile."""
    limits: tuple[float, float]
    """What it can report at all."""
    decimals: int
    """Digits after the point that it reports."""

    @classmethod
    def of(cls, values: FloatArray, unit: str) -> "Sensor":
        """Learn it from the healthy readings of one feature: (reading,), more than 12 of them.

        The spread is the interquartile range as a standard deviation, so that an event doesn't count. It is
        at least three times what the feature changes within 12 readings (95 % of the time), so that an hour
        of calm doesn't make a fault of a breeze, and at least twice the accuracy of a mote's sensor.
        """
        low, first, third, high = np.percentile(values, [1, 25, 75, 99]).tolist()
        wander = np.abs(values[_WANDER_READINGS:] - values[:-_WANDER_READINGS])
        spread = max((third - first) / 1.349, 3 * float(np.percentile(wander, 95)), LEAST_SPREAD[unit])
        rounded = (d for d in range(_MOST_DECIMALS) if np.array_equal(np.round(values, d), values))
        return cls(spread, low, high, LIMITS[unit], next(rounded, _MOST_DECIMALS))


def _offset(true: FloatArray, size: float, sensor: Sensor, _rng: np.random.Generator) -> FloatArray:
    return true + size * sensor.spread


def _gain(true: FloatArray, size: float, sensor: Sensor, _rng: np.random.Generator) -> FloatArray:
    # The reading nearest to zero shows a gain least: it gets the size, the others more.
    smallest = max(float(np.abs(true).min()), 1e-9)
    return true * (1 + size * sensor.spread / smallest)


def _stuck(true: FloatArray, size: float, sensor: Sensor, _rng: np.random.Generator) -> FloatArray:
    # From the true values' own edge, so that they can't wander into the constant.
    edge = float(true.max() if size > 0 else true.min())
    return np.full(len(true), edge + size * sensor.spread, dtype=np.float64)


def _bounds(true: FloatArray, size: float, sensor: Sensor, _rng: np.random.Generator) -> FloatArray:
    edge = sensor.high if size > 0 else sensor.low
    return true + (edge - float(true.mean()) + size * sensor.spread)


def _loss(true: FloatArray, _size: float, _sensor: Sensor, _rng: np.random.Generator) -> FloatArray:
    return np.zeros(len(true))


def _drift(true: FloatArray, size: float, sensor: Sensor, _rng: np.random.Generator) -> FloatArray:
    grown: FloatArray = true + np.linspace(np.sign(size) * _LEAST, size, len(true)) * sensor.spread
    return grown


def _noise(true: FloatArray, size: float, sensor: Sensor, rng: np.random.Generator) -> FloatArray:
    # Never nearly 0: a reading that noise leaves where it was is no faulty one.
    scatter = rng.uniform(_LEAST, abs(size), len(true)) * rng.choice([-1, 1], len(true))
    scattered: FloatArray = true + scatter * sensor.spread
    return scattered


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    apply: Callable[[FloatArray, float, Sensor, np.random.Generator], FloatArray]
    """True values of an episode (reading,), size in spreads with its sign, sensor, what is random in it ->
    faulty values."""
    sizes: tuple[float, float]
    """Smallest and largest size, in spreads; the sign is drawn too."""
    lengths: tuple[int, int] = (6, 30)
    """Fewest and most readings of an episode."""
    measurable: bool = True
    """Whether it stays within what a sensor can report."""


KINDS: dict[str, Kind] = {
    "offset": Kind(_offset, (0.5, 2.0)),
    "gain": Kind(_gain, (0.5, 2.0)),
    "stuck": Kind(_stuck, (0.5, 2.0)),
    "bounds": Kind(_bounds, (4.0, 20.0), measurable=False),
    "spike": Kind(_offset, (1.0, 4.0), lengths=(1, 3)),
    "loss": Kind(_loss, (1.0, 1.0)),
    "drift": Kind(_drift, (1.0, 3.0), lengths=(30, 90)),
    "noise": Kind(_noise, (1.0, 3.0), lengths=(12, 40)),
}
DEFAULT_KINDS = ("offset", "gain", "stuck", "bounds", "spike", "loss")
"""The kinds of Zidi et al. and Noshad et al.; the others are there on request."""


def shows(kind: Kind, true: FloatArray, faulty: FloatArray, sensor: Sensor) -> bool:
    """Return whether every reading of an episode is far enough from the truth, and one that can be read."""
    far = np.abs(faulty - true).min() >= _LEAST * sensor.spread - 10.0**-sensor.decimals
    low, high = sensor.limits
    within = low <= faulty.min() and faulty.max() <= high
    return bool(far and (within or not kind.measurable))
