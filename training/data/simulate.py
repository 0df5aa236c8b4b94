"""Simulates a plant: daily cycle, weather, controllers and sensor errors."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

import numpy as np
import pandas as pd

from monitor.bundle import Feature
from monitor.core.arrays import FloatArray
from monitor.core.errors import InvalidInputError
from monitor.core.quantity_defaults import QUANTITY_DEFAULTS
from monitor.core.units import convert, convert_difference, is_convertible
from training.data.features import describe_sensor
from training.data.plant_kinds import DEFAULT_KIND, PLANT_KINDS, Climate, SensorSpec
from training.data.process_signals import PROCESS_SIGNALS, ProcessSignal
from training.data.recordings import NORMAL_LABEL

__all__ = ["DEFAULT_START", "Plant", "simulate"]

DEFAULT_START = datetime.fromisoformat("2026-06-01T06:00:00+00:00")

_STATIONS_PER_LINE = 3
_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S
_WARMEST_TIME_S = 15 * _HOUR_S
# Temperature profile of a batch: hours since its start, and the fraction of the maximum rise in temperature.
_BATCH_PROFILE = ((0, 2, 6, 8), (0, 1, 1, 0))
# Standard deviations of constant error, slow error and noise of a sensor, in accuracies. Those of temperature
# and humidity are in `plant_kinds`.
_OFFSET_SHARE, _DRIFT_SHARE, _NOISE_SHARE = 0.15, 0.1, 0.03
# A sensor reports steps of at most this share of its accuracy.
_RESOLUTION_SHARE = 0.05
_DOOR_STEP_S, _DOOR_TIME_CONSTANT_S = 10, 240
# The quantities of `SensorSpec`, in the order of its values.
_CLIMATE_QUANTITIES = ("temperature", "humidity")


@dataclass(frozen=True, slots=True)
class Plant:
    """Parameters of a simulated plant. Equal parameters give the same readings at the same time."""

    groups: int
    """Number of groups: `line1/station1`, `line1/station2`, ..."""
    seed: int
    """Seed of the sensors and the weather."""
    start: datetime
    """The time of the plant's hour 0."""
    features: Sequence[Feature]
    """What a reading consists of. All features of a quantity measure the same true values."""
    kind: str = DEFAULT_KIND
    """A key of `PLANT_KINDS`."""


def simulate(plant: Plant, from_hour: float, hours: float) -> pd.DataFrame:
    """Simulate an interval; return the readings, all healthy, ordered by time.

    The readings do not depend on the interval: hours 0 to 6 and hours 6 to 8 together are equal to hours 0 to
    8, so a model trained on the first interval can be tested on the second.

    Parameters
    ----------
    from_hour, hours : start of the interval, in hours since the plant's hour 0, and its length in hours.

    Raises
    ------
    InvalidInputError : the values of a quantity, or in a unit, can't be simulated.
    """
    for feature in plant.features:
        _check_quantity(feature)
    _, sensors = PLANT_KINDS[plant.kind]
    end = round((from_hour + hours) * _HOUR_S / sensors.sample_period)
    begin = round(from_hour * _HOUR_S / sensors.sample_period)
    seconds: FloatArray = np.arange(end, dtype=np.float64) * sensors.sample_period  # (reading,)
    ts = plant.start.timestamp() + seconds
    rngs = _spawn_rngs(plant.seed)
    weather = _simulate_ar1(next(rngs), seconds, step_s=1800, time_constant_s=6 * _HOUR_S)
    frames = []
    for number in range(plant.groups):
        values = _simulate_group(rngs, ts, seconds, weather, plant)[begin:]  # (reading, feature)
        frame = pd.DataFrame(values, columns=[feature.name for feature in plant.features])
        line, station = divmod(number, _STATIONS_PER_LINE)
        frame.insert(0, "ts", ts[begin:])
        frame.insert(1, "group", f"line{line + 1}/station{station + 1}")
        frames.append(frame)
    plant_wide = pd.concat(frames).sort_values("ts", kind="stable", ignore_index=True)
    return plant_wide.assign(label=NORMAL_LABEL)


def _check_quantity(feature: Feature) -> None:
    quantity = feature.measured_quantity
    defaults = QUANTITY_DEFAULTS.get(quantity)
    if defaults is None or not is_convertible(defaults.unit, feature.unit):
        known = ", ".join(f"{name} ({other.unit})" for name, other in QUANTITY_DEFAULTS.items())
        raise InvalidInputError(
            f"{feature.name}: {quantity} in {feature.unit!r} can't be simulated, expected one of {known}"
        )


def _simulate_group(
    rngs: Iterator[np.random.Generator],
    ts: FloatArray,
    seconds: FloatArray,
    weather: FloatArray,
    plant: Plant,
) -> FloatArray:
    """Return the readings of the sensors of a group, all at the same place: (reading, feature)."""
    climate, sensors = PLANT_KINDS[plant.kind]
    daily_cycle = np.cos(2 * np.pi * (ts % _DAY_S - _WARMEST_TIME_S) / _DAY_S)
    true_values = _simulate_climate(rngs, seconds, daily_cycle, weather, climate)
    for quantity in dict.fromkeys(feature.measured_quantity for feature in plant.features):
        if quantity not in true_values:
            true_values[quantity] = _simulate_process(rngs, seconds, daily_cycle, PROCESS_SIGNALS[quantity])
    columns: dict[str, FloatArray] = {}
    motes = [feature.name.rpartition("_")[2] for feature in plant.features]
    for mote in dict.fromkeys(motes):
        sensor_rng = next(rngs)
        for feature, other in zip(plant.features, motes, strict=True):
            if other == mote:
                columns[feature.name] = _measure(rngs, sensor_rng, seconds, true_values, feature, sensors)
    return np.column_stack([columns[feature.name] for feature in plant.features])


def _simulate_climate(
    rngs: Iterator[np.random.Generator],
    seconds: FloatArray,
    daily_cycle: FloatArray,
    weather: FloatArray,
    climate: Climate,
) -> dict[str, FloatArray]:
    """Return the true temperature, degC, and humidity, %RH: quantity -> (reading,)."""
    group_rng = next(rngs)
    short_term = _simulate_ar1(next(rngs), seconds, step_s=60, time_constant_s=1200)
    temperature_change = (
        group_rng.uniform(*climate.daily_amplitude) * daily_cycle
        + climate.weather_std * weather
        + climate.short_term_std * short_term
    )
    humidity_variation = _simulate_ar1(next(rngs), seconds, step_s=300, time_constant_s=2 * _HOUR_S)
    temperature_change += _simulate_control(rngs, seconds, climate)
    temperature = group_rng.uniform(*climate.temperature) + temperature_change
    humidity = (
        group_rng.uniform(*climate.humidity)
        + climate.humidity_per_degree * temperature_change
        + climate.humidity_std * humidity_variation
    )
    return {"temperature": temperature, "humidity": humidity}


def _simulate_process(
    rngs: Iterator[np.random.Generator], seconds: FloatArray, daily_cycle: FloatArray, signal: ProcessSignal
) -> FloatArray:
    """Return the true values of another quantity: (reading,)."""
    values: FloatArray = (
        next(rngs).uniform(*signal.level)
        + signal.daily_amplitude * daily_cycle
        + signal.slow_std * _simulate_ar1(next(rngs), seconds, step_s=1800, time_constant_s=6 * _HOUR_S)
        + signal.short_term_std * _simulate_ar1(next(rngs), seconds, step_s=60, time_constant_s=1200)
    )
    return values


def _measure(
    rngs: Iterator[np.random.Generator],
    sensor_rng: np.random.Generator,
    seconds: FloatArray,
    true_values: Mapping[str, FloatArray],
    feature: Feature,
    sensors: SensorSpec,
) -> FloatArray:
    """Return what one sensor reports, in the feature's unit: (reading,)."""
    quantity = feature.measured_quantity
    usual, sensor = QUANTITY_DEFAULTS[quantity], describe_sensor(feature)
    accuracy = convert_difference(sensor.accuracy, feature.unit, usual.unit)
    if quantity in _CLIMATE_QUANTITIES:
        number = _CLIMATE_QUANTITIES.index(quantity)
        scale = accuracy / usual.accuracy
        errors = (sensors.offset[number], sensors.drift[number], sensors.noise[number])
        decimals = sensors.decimals
    else:
        scale = accuracy
        errors = (_OFFSET_SHARE, _DRIFT_SHARE, _NOISE_SHARE)
        decimals = max(0, math.ceil(-math.log10(_RESOLUTION_SHARE * sensor.accuracy)))
    offset, drift, noise = (scale * error for error in errors)
    measured = (
        true_values[quantity]
        + sensor_rng.normal(0, offset)
        + _simulate_sensor_error(rngs, seconds, drift, noise)
    )
    low, high = sensor.measuring_range
    reported: FloatArray = np.clip(
        np.round(_convert(measured, usual.unit, feature.unit), decimals), low, high
    )
    return reported


def _convert(values: FloatArray, unit: str, to_unit: str) -> FloatArray:
    """Convert values (reading,) between units of one dimension, all of which are linear."""
    if unit == to_unit:
        return values
    return values * convert_difference(1, unit, to_unit) + convert(0, unit, to_unit)


def _simulate_control(
    rngs: Iterator[np.random.Generator], seconds: FloatArray, climate: Climate
) -> FloatArray:
    """Return the effect of controller, door and batches on the temperature, degC: (reading,)."""
    temperature_change = np.zeros(len(seconds))
    if climate.control_cycle:
        period, height = climate.control_cycle
        phase = next(rngs).uniform(0, 2 * np.pi)
        # The cycle length of a real controller varies with load and weather.
        phase_noise = _simulate_ar1(next(rngs), seconds, step_s=300, time_constant_s=_HOUR_S)
        temperature_change += height * np.sin(2 * np.pi * seconds / period + phase + phase_noise)
    if climate.door_openings:
        openings_per_hour, height = climate.door_openings
        temperature_change += height * _simulate_doors(next(rngs), seconds, openings_per_hour)
    if climate.batch_heating:
        hours = (seconds / _HOUR_S + next(rngs).uniform(0, _BATCH_PROFILE[0][-1])) % _BATCH_PROFILE[0][-1]
        temperature_change += climate.batch_heating * np.interp(hours, *_BATCH_PROFILE)
    return temperature_change


def _simulate_doors(rng: np.random.Generator, seconds: FloatArray, openings_per_hour: float) -> FloatArray:
    """Return a signal that jumps to 1 at random times and decays within minutes: (reading,)."""
    decay = float(np.exp(-_DOOR_STEP_S / _DOOR_TIME_CONSTANT_S))
    opened = rng.random(int(seconds[-1] // _DOOR_STEP_S) + 2) < openings_per_hour * _DOOR_STEP_S / _HOUR_S
    levels = list(accumulate(opened.astype(float), lambda before, now: max(decay * before, now)))
    jumps: FloatArray = np.interp(seconds, np.arange(len(levels)) * _DOOR_STEP_S, levels)
    return jumps


def _simulate_sensor_error(
    rngs: Iterator[np.random.Generator], seconds: FloatArray, drift: float, noise: float
) -> FloatArray:
    """Return the error of one sensor, independent of other sensors: (reading,)."""
    slow_error = _simulate_ar1(next(rngs), seconds, step_s=60, time_constant_s=900)
    return drift * slow_error + noise * next(rngs).standard_normal(len(seconds))


def _simulate_ar1(
    rng: np.random.Generator, seconds: FloatArray, step_s: float, time_constant_s: float
) -> FloatArray:
    """Return an AR(1) process of standard deviation 1, interpolated between its steps: (reading,)."""
    decay = float(np.exp(-step_s / time_constant_s))
    steps = rng.standard_normal(int(seconds[-1] // step_s) + 2)
    steps[1:] *= np.sqrt(1 - decay**2)  # keeps the standard deviation at 1
    levels = list(accumulate(steps, lambda before, step: decay * before + step))
    noise: FloatArray = np.interp(seconds, np.arange(len(levels)) * step_s, levels)
    return noise


def _spawn_rngs(seed: int) -> Iterator[np.random.Generator]:
    """Yield a generator for each random series, so that a longer simulation continues a shorter one."""
    root = np.random.SeedSequence(seed)
    while True:
        yield np.random.default_rng(root.spawn(1)[0])
