"""A plant to train and to try things on: pairs of motes, a day's course, weather, noise."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

import numpy as np
import pandas as pd

from monitor.records import FloatArray
from training.recordings import HEALTHY, NAMES

__all__ = ["DEFAULT_START", "SAMPLE_PERIOD_S", "Plant", "simulate"]

SAMPLE_PERIOD_S = 5.0
DEFAULT_START = datetime.fromisoformat("2026-06-01T06:00:00+00:00")

_STATIONS_A_LINE = 3
_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S
_WARMEST_S = 15 * _HOUR_S
_DECIMALS = 2  # as the SHT11 of a TelosB mote reports
# %RH lost per degree: about what a fixed amount of water in the air makes at 20 degC.
_HUMIDITY_PER_DEGREE = -2.8


@dataclass(frozen=True, slots=True)
class Plant:
    """What stays the same from one stretch of a plant's time to the next."""

    groups: int
    """Pairs of motes: `line1/station1`, `line1/station2`, ..."""
    seed: int
    """The same seed gives the same plant and the same weather."""
    start: datetime
    """When its hour 0 is."""


def simulate(plant: Plant, from_hour: float, hours: float) -> pd.DataFrame:
    """Return a stretch of a plant's readings, all healthy, ordered by time.

    A stretch doesn't depend on where it is cut: hours 0 to 6 and 6 to 8 are the first and the second part
    of hours 0 to 8, so what was trained on the one has not seen the other.
    """
    end = round((from_hour + hours) * _HOUR_S / SAMPLE_PERIOD_S)
    begin = round(from_hour * _HOUR_S / SAMPLE_PERIOD_S)
    seconds: FloatArray = np.arange(end, dtype=np.float64) * SAMPLE_PERIOD_S  # (reading,)
    ts = plant.start.timestamp() + seconds
    rngs = _rngs(plant.seed)
    weather = _wander(next(rngs), seconds, every_s=1800, memory_s=6 * _HOUR_S)
    frames = []
    for number in range(plant.groups):
        values = _pair(rngs, ts, seconds, weather)[begin:]  # (reading, feature)
        frame = pd.DataFrame(values, columns=NAMES)
        line, station = divmod(number, _STATIONS_A_LINE)
        frame.insert(0, "ts", ts[begin:])
        frame.insert(1, "group", f"line{line + 1}/station{station + 1}")
        frames.append(frame)
    plant_wide = pd.concat(frames).sort_values("ts", kind="stable", ignore_index=True)
    return plant_wide.assign(label=HEALTHY)


def _pair(
    rngs: Iterator[np.random.Generator], ts: FloatArray, seconds: FloatArray, weather: FloatArray
) -> FloatArray:
    """Return the readings of two motes side by side: (reading, feature)."""
    place = next(rngs)
    day = np.cos(2 * np.pi * (ts % _DAY_S - _WARMEST_S) / _DAY_S)
    draught = _wander(next(rngs), seconds, every_s=60, memory_s=1200)
    warmth = place.uniform(1.0, 2.0) * day + 0.4 * weather + 0.2 * draught
    damp = _wander(next(rngs), seconds, every_s=300, memory_s=2 * _HOUR_S)
    temperature = place.uniform(19, 24) + warmth
    humidity = place.uniform(48, 58) + _HUMIDITY_PER_DEGREE * warmth + 2.0 * damp
    columns = []
    for _ in range(2):
        mote = next(rngs)
        columns.append(temperature + mote.normal(0, 0.06) + _own(rngs, seconds, drift=0.04, noise=0.012))
        columns.append(humidity + mote.normal(0, 0.3) + _own(rngs, seconds, drift=0.15, noise=0.04))
    return np.column_stack([np.round(column, _DECIMALS) for column in columns])


def _own(rngs: Iterator[np.random.Generator], seconds: FloatArray, drift: float, noise: float) -> FloatArray:
    """Return what one sensor reads that its neighbour doesn't: (reading,)."""
    wander = _wander(next(rngs), seconds, every_s=60, memory_s=900)
    return drift * wander + noise * next(rngs).standard_normal(len(seconds))


def _wander(rng: np.random.Generator, seconds: FloatArray, every_s: float, memory_s: float) -> FloatArray:
    """Return a slow random course of spread 1 that forgets itself within `memory_s`: (reading,)."""
    keep = float(np.exp(-every_s / memory_s))
    steps = rng.standard_normal(int(seconds[-1] // every_s) + 2)
    steps[1:] *= np.sqrt(1 - keep**2)  # so that the spread stays what the first step has
    course = list(accumulate(steps, lambda before, step: keep * before + step))
    wander: FloatArray = np.interp(seconds, np.arange(len(course)) * every_s, course)
    return wander


def _rngs(seed: int) -> Iterator[np.random.Generator]:
    """Yield a generator for each thing that is random, so that a longer run begins like a shorter one."""
    root = np.random.SeedSequence(seed)
    while True:
        yield np.random.default_rng(root.spawn(1)[0])
