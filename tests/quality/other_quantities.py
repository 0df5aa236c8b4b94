"""Measures the default bundle on simulated machines with other quantities; run by `make machines`.

Use: `python -m tests.quality.other_quantities [BUNDLE]`. Nothing is trained: the features are settings. Each
quantity is judged as a pair, with faults of every kind in one of both sensors, in sizes by its accuracy: an
offset, a gain or a stuck value is 1 to 4 accuracies away from the truth. And it is judged as a lone sensor,
with glitches: single readings of 0 or of five times the highest value.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitor import bundle
from monitor.bundle import Bundle, Feature
from monitor.bundle.default_bundle import DEFAULT_BUNDLE_FOLDER
from monitor.config.feature_settings import FeatureSettings
from monitor.config.settings import AlertSettings, WindowSettings
from monitor.core.arrays import FloatArray
from monitor.core.quantity_defaults import QuantityDefaults, find_defaults
from monitor.core.readings import Readings
from monitor.core.rules import default_max_gap
from monitor.core.verdicts import JudgedWindows
from monitor.service.settings_to_features import adapt_to_features
from monitor.service.settings_to_stages import build_scoring
from tests.quality.machines import MACHINES, Machine, simulate_machine
from training.faults.fault_kinds import FAULT_KINDS, SensorStats, is_detectable

GROUPS, HOURS = 2, 24
SEEDS = (1, 2, 3)
RATE = 0.1
"""Share of readings with a fault."""
ACCURACIES_PER_SIZE = 2
"""Accuracies in a fault of size 1."""
MAX_DRAWS = 50
"""Draws of length and size until a fault shows in the readings."""
FIRST_FAULT = 150
"""Readings before the first fault."""
GLITCH, READINGS_PER_GLITCH = "glitch", 97


@dataclass(frozen=True)
class Verdicts:
    """The judged windows of a recording, and the faults in them."""

    predicted: NDArray[np.bool_]
    kinds: NDArray[np.str_]
    """Kind of the fault in each reading; "" if there is none: (window, step)."""

    def f1(self) -> float:
        """Return F1 of class Faulty; a window is Faulty where any of its readings has a fault."""
        is_faulty = (self.kinds != "").any(axis=1)
        found = np.count_nonzero(self.predicted & is_faulty)
        return 2 * found / (np.count_nonzero(self.predicted) + np.count_nonzero(is_faulty))

    def recall(self, kind: str) -> float:
        """Return the share of windows found whose last reading has a fault of a kind; NaN if none has."""
        rows = self.kinds[:, -1] == kind
        return float(self.predicted[rows].mean()) if rows.any() else float("nan")


def judge(loaded: Bundle, frame: pd.DataFrame, period: float) -> JudgedWindows:
    """Judge a recording as the daemon does; the windows are in the order of the readings."""
    count = len(frame)
    readings = Readings(
        groups=frame["group"].tolist(),
        ts=frame["ts"].to_numpy(),
        values=frame[list(loaded.manifest.feature_names)].to_numpy(dtype=np.float64),
        arrived_at=np.full(count, np.inf),
        arrived_monotonic=np.zeros(count),
        redelivered=np.zeros(count, dtype=np.bool_),
    )
    windows = WindowSettings(max_gap=default_max_gap(period))
    return build_scoring(loaded, windows, AlertSettings()).judge(readings).judged_windows


def put_faults(frame: pd.DataFrame, feature: Feature, seed: int, *, glitches: bool) -> pd.DataFrame:
    """Return a copy with faults in one feature, and a column `kind`; each group has its own faults.

    Parameters
    ----------
    glitches : whether glitches are put in, in place of faults of all kinds.
    """
    result = frame.assign(kind="")
    for number, (_, rows) in enumerate(frame.groupby("group").indices.items()):
        rng = np.random.default_rng([seed, number])
        values = frame[feature.name].to_numpy()[rows]
        draw = _draw_glitches if glitches else _draw_faults
        for kind, begin, faulty in draw(values, feature, rng):
            index = frame.index[rows[begin : begin + len(faulty)]]
            result.loc[index, feature.name] = faulty
            result.loc[index, "kind"] = kind
    return result


def _draw_glitches(
    values: FloatArray, feature: Feature, rng: np.random.Generator
) -> Iterator[tuple[str, int, FloatArray]]:
    """Yield kind, index and value of each glitch in the readings of one sensor (reading,)."""
    for index in range(FIRST_FAULT, len(values) - 1, READINGS_PER_GLITCH):
        highest = 5 * float(values.max())
        is_low = rng.random() < 0.5 and values[index] > 5 * (feature.accuracy or 0)
        yield GLITCH, index, np.array([0.0 if is_low else highest])


def _draw_faults(
    values: FloatArray, feature: Feature, rng: np.random.Generator
) -> Iterator[tuple[str, int, FloatArray]]:
    """Yield kind, begin and faulty values of each episode in the readings of one sensor (reading,)."""
    decimals = next((d for d in range(4) if np.array_equal(np.round(values, d), values)), 4)
    low, high = np.percentile(values, [1, 99]).tolist()
    defaults = _find_defaults(feature)
    size_1 = ACCURACIES_PER_SIZE * (feature.accuracy or defaults.accuracy)
    sensor = SensorStats(size_1, low, high, defaults.measuring_range, decimals)
    position = FIRST_FAULT
    for kind in (name for _ in range(len(values)) for name in rng.permutation(list(FAULT_KINDS)).tolist()):
        fault = FAULT_KINDS[kind]
        for _ in range(MAX_DRAWS):
            length = int(rng.integers(fault.length_range[0], fault.length_range[1] + 1))
            begin = position + round(length / RATE * rng.uniform(0.5, 1.5))
            if begin + length >= len(values):
                return
            true = values[begin : begin + length]
            size = rng.uniform(*fault.size_range) * rng.choice([-1, 1])
            faulty = np.round(fault.apply(true, size, sensor, rng), decimals)
            if is_detectable(fault, true, faulty, sensor):
                yield kind, begin, faulty
                position = begin + length
                break


def _find_defaults(feature: Feature) -> QuantityDefaults:
    defaults = find_defaults(feature.measured_quantity, feature.unit)
    assert defaults is not None, feature
    return defaults


def measure(loaded: Bundle, machine: Machine, quantity: str, sensors: int) -> tuple[Verdicts, Verdicts]:
    """Return verdicts on recordings with faults and without, for all seeds.

    Parameters
    ----------
    sensors : number of sensors of the quantity in a group: 2, or 1 for a lone sensor with glitches.
    """
    signal = machine.signals[quantity]
    settings = [
        FeatureSettings(name=f"{quantity}_{number}", unit=signal.unit, accuracy=signal.accuracy)
        for number in range(1, sensors + 1)
    ]
    adapted = adapt_to_features(settings, loaded)
    feature = adapted.manifest.features[0]
    results: tuple[list[Verdicts], list[Verdicts]] = ([], [])
    for seed in SEEDS:
        healthy = simulate_machine(machine, groups=GROUPS, hours=HOURS, seed=seed)
        with_faults = put_faults(healthy, feature, seed, glitches=sensors == 1)
        for frame, verdicts in zip((with_faults, healthy.assign(kind="")), results, strict=True):
            judged = judge(adapted, frame, machine.sample_period)
            kinds = frame.set_index(["group", "ts"])["kind"]
            by_step = np.array(
                [kinds.loc[list(zip(judged.groups, ts, strict=True))] for ts in judged.ts.T]
            )  # (step, window)
            verdicts.append(Verdicts(judged.faulty, by_step.T.astype(str)))
    return _concatenate(results[0]), _concatenate(results[1])


def _concatenate(parts: Sequence[Verdicts]) -> Verdicts:
    return Verdicts(
        np.concatenate([part.predicted for part in parts]), np.concatenate([part.kinds for part in parts])
    )


def main(arguments: list[str]) -> None:
    """Print a table for pairs and one for lone sensors: a row for each quantity of each machine."""
    loaded = bundle.load(Path(arguments[0]) if arguments else DEFAULT_BUNDLE_FOLDER)
    print(f"bundle {loaded.manifest.id}; {len(SEEDS)} draws of {GROUPS} machines for {HOURS} h each\n")
    print(
        f"| machine | two sensors of | accuracy | F1 | healthy windows Faulty | {' | '.join(FAULT_KINDS)} |"
    )
    print("|---" * (5 + len(FAULT_KINDS)) + "|")
    for name, machine, quantity in _list_signals():
        faulty, healthy = measure(loaded, machine, quantity, 2)
        recalls = " | ".join(f"{faulty.recall(kind):.2f}" for kind in FAULT_KINDS)
        signal = machine.signals[quantity]
        defaults = find_defaults(quantity, signal.unit)
        accuracy = signal.accuracy or (defaults.accuracy if defaults else 0)
        print(
            f"| {name} | {quantity} | {accuracy:g} {signal.unit} | {faulty.f1():.3f} "
            f"| {_count_false(healthy)} | {recalls} |",
            flush=True,
        )
    print("\n| machine | one sensor of | glitches found | healthy windows Faulty |\n|---|---|---|---|")
    for name, machine, quantity in _list_signals():
        faulty, healthy = measure(loaded, machine, quantity, 1)
        in_window = (faulty.kinds[:, 1] == GLITCH) & faulty.predicted
        glitches = np.count_nonzero(faulty.kinds[:, 1] == GLITCH)
        print(
            f"| {name} | {quantity} | {np.count_nonzero(in_window):,} of {glitches:,} "
            f"| {_count_false(healthy)} |",
            flush=True,
        )


def _list_signals() -> Iterator[tuple[str, Machine, str]]:
    for name, machine in MACHINES.items():
        for quantity in machine.signals:
            yield name, machine, quantity


def _count_false(healthy: Verdicts) -> str:
    return f"{np.count_nonzero(healthy.predicted):,} of {len(healthy.predicted):,}"


if __name__ == "__main__":
    main(sys.argv[1:])
