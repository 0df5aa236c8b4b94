"""Simulates machines with sensors of other quantities than temperature and humidity: two sensors of each.

All sensors of a machine follow one load, which starts, stops and cycles. The two sensors of a quantity don't
stand at the same place: they differ by a factor (two bearings, two phases), an offset, and their noise, which
is a share of the value.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from monitor.core.arrays import FloatArray

__all__ = ["MACHINES", "Machine", "Signal", "simulate_machine"]

START_TS = 1_780_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """How a quantity follows the load of a machine (0 to 1), and how two sensors of it differ."""

    unit: str
    idle: float
    """Value while the machine stands."""
    start: float
    """Value at the smallest load at which it runs."""
    full: float
    """Value at full load."""
    lag_s: float
    """Time constant with which the value follows the load, seconds."""
    factor: float
    """Standard deviation of the factor by which one of the sensors differs."""
    offset: float
    """Standard deviation of the constant error of a sensor."""
    noise: float
    """Standard deviation of the error of a reading, of a value of 0."""
    noise_share: float
    """Standard deviation of the error of a reading, as a share of the value."""
    decimals: int
    accuracy: float | None = None
    """By the data sheet, where it isn't that of common sensors of the quantity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine: its duty cycle and the quantities that are measured at it."""

    sample_period: float
    run_s: tuple[float, float]
    """Shortest and longest time that it runs, seconds."""
    pause_s: tuple[float, float]
    """Shortest and longest time that it stands; (0, 0): it never stands."""
    load_cycle_s: float
    """Period of the load's cycle while it runs, seconds."""
    signals: dict[str, Signal]
    """Quantity -> signal."""


MACHINES = {
    # A pump with a motor: vibration of both bearings (RMS of a second, which varies by some percent), current
    # of two phases, pressure by two redundant transmitters (0.25 % of 10 bar), flow by two meters in series
    # (1 % of 200 L/min).
    "pump": Machine(
        sample_period=5.0,
        run_s=(1800, 7200),
        pause_s=(600, 3600),
        load_cycle_s=1800.0,
        signals={
            "vibration": Signal(
                unit="mm/s",
                idle=0.15,
                start=1.6,
                full=3.2,
                lag_s=4,
                factor=0.12,
                offset=0.03,
                noise=0.02,
                noise_share=0.03,
                decimals=2,
            ),
            "current": Signal(
                unit="A",
                idle=0.0,
                start=9.0,
                full=21.0,
                lag_s=2,
                factor=0.015,
                offset=0.05,
                noise=0.03,
                noise_share=0.005,
                decimals=2,
            ),
            "pressure": Signal(
                unit="bar",
                idle=1.2,
                start=3.0,
                full=5.5,
                lag_s=8,
                factor=0.0,
                offset=0.01,
                noise=0.003,
                noise_share=0.001,
                decimals=3,
                accuracy=0.025,
            ),
            "flow": Signal(
                unit="L/min",
                idle=0.0,
                start=60.0,
                full=180.0,
                lag_s=6,
                factor=0.005,
                offset=0.2,
                noise=0.1,
                noise_share=0.004,
                decimals=1,
                accuracy=2.0,
            ),
        },
    ),
    # A fan that always runs, at a load that follows a controller.
    "fan": Machine(
        sample_period=10.0,
        run_s=(1e9, 1e9),
        pause_s=(0, 0),
        load_cycle_s=3600.0,
        signals={
            "vibration": Signal(
                unit="mm/s",
                idle=0.1,
                start=1.0,
                full=2.4,
                lag_s=5,
                factor=0.1,
                offset=0.02,
                noise=0.02,
                noise_share=0.04,
                decimals=2,
            ),
            "current": Signal(
                unit="A",
                idle=0.0,
                start=4.0,
                full=8.0,
                lag_s=2,
                factor=0.01,
                offset=0.03,
                noise=0.02,
                noise_share=0.004,
                decimals=2,
            ),
            "voltage": Signal(
                unit="V",
                idle=231.0,
                start=230.5,
                full=228.0,
                lag_s=1,
                factor=0.003,
                offset=0.3,
                noise=0.25,
                noise_share=0.0,
                decimals=1,
            ),
            "co2": Signal(
                unit="ppm",
                idle=420.0,
                start=900.0,
                full=520.0,
                lag_s=1200,
                factor=0.01,
                offset=12.0,
                noise=3.0,
                noise_share=0.003,
                decimals=0,
            ),
        },
    ),
}
"""Name of the kind of machine -> its duty cycle and signals."""


def simulate_machine(machine: Machine, *, groups: int, hours: float, seed: int) -> pd.DataFrame:
    """Return healthy readings of several machines by time: columns ts, group, <quantity>_<number>."""
    seconds: FloatArray = np.arange(0, hours * 3600, machine.sample_period)  # (reading,)
    frames = []
    for number in range(groups):
        rng = np.random.default_rng([seed, number])
        load = _simulate_load(machine, seconds, rng)
        frame = pd.DataFrame({"ts": START_TS + seconds, "group": f"machine{number + 1}"})
        for quantity, signal in machine.signals.items():
            for sensor, values in enumerate(_simulate_sensors(machine, signal, load, rng), start=1):
                frame[f"{quantity}_{sensor}"] = values
        frames.append(frame)
    return pd.concat(frames).sort_values("ts", kind="stable", ignore_index=True).assign(label=1)


def _simulate_load(machine: Machine, seconds: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return the load from 0 to 1; -1 while the machine stands: (reading,)."""
    phase = rng.uniform(0, 2 * np.pi)
    cycle = 0.5 + 0.4 * np.sin(2 * np.pi * seconds / machine.load_cycle_s + phase)
    # A random walk in steps of a minute, which returns to 0 within a quarter of an hour.
    steps = rng.normal(0, 0.05, int(seconds[-1] // 60) + 2)
    for index in range(1, len(steps)):
        steps[index] += 0.94 * steps[index - 1]
    load: FloatArray = np.clip(cycle + np.interp(seconds, np.arange(len(steps)) * 60.0, steps), 0, 1)
    position = 0.0
    while position < seconds[-1] and machine.pause_s[1]:
        begin = position + rng.uniform(*machine.run_s)
        position = begin + rng.uniform(*machine.pause_s)
        load[(seconds >= begin) & (seconds < position)] = -1
    return load


def _simulate_sensors(
    machine: Machine, signal: Signal, load: FloatArray, rng: np.random.Generator
) -> Iterator[FloatArray]:
    """Yield the readings of both sensors of a quantity: (reading,)."""
    target = np.where(load < 0, signal.idle, signal.start + (signal.full - signal.start) * load)
    weight = 1 - np.exp(-machine.sample_period / signal.lag_s)
    value = target.copy()
    for index in range(1, len(value)):
        value[index] = value[index - 1] + weight * (target[index] - value[index - 1])
    for _ in range(2):
        own = value * (1 + rng.normal(0, signal.factor)) + rng.normal(0, signal.offset)
        scatter = signal.noise + signal.noise_share * np.abs(own)
        yield np.round(own + scatter * rng.standard_normal(len(own)), signal.decimals)
