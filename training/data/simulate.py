"""A plant to train and to try things on: pairs of motes, a day's course, weather, noise."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

import numpy as np
import pandas as pd

from monitor.core.arrays import FloatArray
from training.data.plant_kinds import DEFAULT_KIND, PLANT_KINDS, Air, Sensors
from training.data.recordings import HEALTHY, NAMES

__all__ = ["DEFAULT_START", "Plant", "simulate"]

DEFAULT_START = datetime.fromisoformat("2026-06-01T06:00:00+00:00")

_STATIONS_A_LINE = 3
_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S
_WARMEST_S = 15 * _HOUR_S
# A batch's programme: hours since its begin, and the share of its heat.
_BATCH = ((0, 2, 6, 8), (0, 1, 1, 0))
_DOOR_EVERY_S, _DOOR_MEMORY_S = 10, 240


@dataclass(frozen=True, slots=True)
class Plant:
    """What stays the same from one stretch of a plant's time to the next."""

    groups: int
    """Pairs of motes: `line1/station1`, `line1/station2`, ..."""
    seed: int
    """The same seed gives the same plant and the same weather."""
    start: datetime
    """When its hour 0 is."""
    kind: str = DEFAULT_KIND
    """One of `PLANT_KINDS`."""


def simulate(plant: Plant, from_hour: float, hours: float) -> pd.DataFrame:
    """Return a stretch of a plant's readings, all healthy, ordered by time.

    A stretch doesn't depend on where it is cut: hours 0 to 6 and 6 to 8 are the first and the second part
    of hours 0 to 8, so what was trained on the one has not seen the other.
    """
    air, sensors = PLANT_KINDS[plant.kind]
    end = round((from_hour + hours) * _HOUR_S / sensors.sample_period)
    begin = round(from_hour * _HOUR_S / sensors.sample_period)
    seconds: FloatArray = np.arange(end, dtype=np.float64) * sensors.sample_period  # (reading,)
    ts = plant.start.timestamp() + seconds
    rngs = _rngs(plant.seed)
    weather = _wander(next(rngs), seconds, every_s=1800, memory_s=6 * _HOUR_S)
    frames = []
    for number in range(plant.groups):
        values = _pair(rngs, ts, seconds, weather, air, sensors)[begin:]  # (reading, feature)
        frame = pd.DataFrame(values, columns=NAMES)
        line, station = divmod(number, _STATIONS_A_LINE)
        frame.insert(0, "ts", ts[begin:])
        frame.insert(1, "group", f"line{line + 1}/station{station + 1}")
        frames.append(frame)
    plant_wide = pd.concat(frames).sort_values("ts", kind="stable", ignore_index=True)
    return plant_wide.assign(label=HEALTHY)


def _pair(
    rngs: Iterator[np.random.Generator],
    ts: FloatArray,
    seconds: FloatArray,
    weather: FloatArray,
    air: Air,
    sensors: Sensors,
) -> FloatArray:
    """Return the readings of two motes side by side: (reading, feature)."""
    place = next(rngs)
    day = np.cos(2 * np.pi * (ts % _DAY_S - _WARMEST_S) / _DAY_S)
    draught = _wander(next(rngs), seconds, every_s=60, memory_s=1200)
    warmth = place.uniform(*air.day) * day + air.weather * weather + air.draught * draught
    damp = _wander(next(rngs), seconds, every_s=300, memory_s=2 * _HOUR_S)
    warmth += _controlled(rngs, seconds, air)
    temperature = place.uniform(*air.temperature) + warmth
    humidity = place.uniform(*air.humidity) + air.humidity_per_degree * warmth + air.damp * damp
    columns: list[FloatArray] = []
    for _ in range(2):
        mote = next(rngs)
        for number, true in enumerate((temperature, humidity)):
            beside = mote.normal(0, sensors.offset[number])
            columns.append(true + beside + _own(rngs, seconds, sensors.drift[number], sensors.noise[number]))
    readings = np.column_stack([np.round(column, sensors.decimals) for column in columns])
    readings[:, 1::2] = np.clip(readings[:, 1::2], 0, 100)  # humidity; more than dew there is not
    return readings


def _controlled(rngs: Iterator[np.random.Generator], seconds: FloatArray, air: Air) -> FloatArray:
    """Return what people and their machines do to the temperature: (reading,)."""
    warmth = np.zeros(len(seconds))
    if air.cycle:
        period, height = air.cycle
        phase = next(rngs).uniform(0, 2 * np.pi)
        # No controller keeps its own time: load and weather make its cycles longer and shorter.
        late = _wander(next(rngs), seconds, every_s=300, memory_s=_HOUR_S)
        warmth += height * np.sin(2 * np.pi * seconds / period + phase + late)
    if air.door:
        an_hour, height = air.door
        warmth += height * _openings(next(rngs), seconds, an_hour)
    if air.programme:
        hours = (seconds / _HOUR_S + next(rngs).uniform(0, _BATCH[0][-1])) % _BATCH[0][-1]
        warmth += air.programme * np.interp(hours, *_BATCH)
    return warmth


def _openings(rng: np.random.Generator, seconds: FloatArray, an_hour: float) -> FloatArray:
    """Return jumps by 1 at random times that are forgotten within minutes: (reading,)."""
    keep = float(np.exp(-_DOOR_EVERY_S / _DOOR_MEMORY_S))
    opened = rng.random(int(seconds[-1] // _DOOR_EVERY_S) + 2) < an_hour * _DOOR_EVERY_S / _HOUR_S
    course = list(accumulate(opened.astype(float), lambda before, now: max(keep * before, now)))
    jumps: FloatArray = np.interp(seconds, np.arange(len(course)) * _DOOR_EVERY_S, course)
    return jumps


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
