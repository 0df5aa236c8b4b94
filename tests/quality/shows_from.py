"""Measures by pace from which offset on a sensor is called Faulty; run by `make sensitivity`.

Use: `python -m tests.quality.shows_from [SITE ...]`. Plants of all kinds are simulated for five days, and
their readings are thinned out to the paces; recordings, healthy ones, keep their own pace. They are judged
with the bundle that comes with the monitor. Twenty times in the second half of each, the offset is looked at,
and sensors get offsets of half and of one and a half times as much for three readings.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from monitor import bundle
from monitor.bundle import Bundle, default_bundle
from monitor.config.settings import AlertSettings, WindowSettings
from monitor.core.arrays import FloatArray
from monitor.core.readings import Readings
from monitor.core.rules import default_max_gap
from monitor.detect.scoring import Scoring
from monitor.service.settings_to_stages import build_scoring
from tests.support.training_features import FEATURE_NAMES, FEATURES
from training.data import dataset, recordings
from training.data.plant_kinds import PLANT_KINDS
from training.data.simulate import DEFAULT_START, Plant, simulate

GROUPS, HOURS, PLANT_SEED = 2, 120.0, 11
PACES = (5.0, 60.0, 600.0)
"""Seconds between two readings."""
LOOKS = 20
SIZES = (0.5, 1.5)
"""Sizes of the offsets that sensors get, as multiples of the smallest that would show."""
FAULTY_READINGS = 3


@dataclass
class Sensitivity:
    """What would show, and what did."""

    offsets: list[list[float]] = field(default_factory=list)
    """Smallest offsets that would be called Faulty, by group and time: (look, feature)."""
    found: dict[float, list[bool]] = field(default_factory=lambda: {size: [] for size in SIZES})
    """Size of an offset -> whether each was called Faulty."""


def measure(judging_bundle: Bundle, frame: pd.DataFrame) -> Sensitivity:
    """Judge a recording, and look at what would show."""
    max_gap = default_max_gap(dataset.compute_sample_period([frame]))
    scoring, copy = (
        build_scoring(judging_bundle, WindowSettings(max_gap=max_gap), AlertSettings()) for _ in range(2)
    )
    result = Sensitivity()
    for group, readings in frame.groupby("group"):
        name, ts, values = str(group), readings["ts"].to_numpy(), readings[FEATURE_NAMES].to_numpy()
        ends = np.linspace(len(ts) // 2, len(ts) - FAULTY_READINGS, LOOKS).astype(int).tolist()
        for begin, end in zip([0, *ends], ends, strict=False):
            judge(scoring, name, ts[begin:end], values[begin:end])
            offsets = scoring.shows_from(name)
            if offsets is None:
                continue
            result.offsets.append(offsets)
            rows = slice(end, end + FAULTY_READINGS)
            for size in SIZES:
                for feature_offsets in size * np.diag(offsets):
                    copy.load(name, scoring.dump(name))
                    faulty = judge(copy, name, ts[rows], values[rows] + feature_offsets)
                    result.found[size].append(faulty)
    return result


def judge(scoring: Scoring, group: str, ts: FloatArray, values: FloatArray) -> bool:
    """Judge readings of a group, and return whether a window was Faulty."""
    count = len(ts)
    batch = Readings(
        groups=[group] * count,
        ts=ts,
        values=values,
        arrived_at=np.full(count, np.inf),
        arrived_monotonic=np.zeros(count),
        redelivered=np.zeros(count, dtype=np.bool_),
    )
    return bool(scoring.judge(batch).judged_windows.faulty.any())


def print_row(name: str, pace: float, sensitivity: Sensitivity) -> None:
    """Print a row of the table: medians and worst tenths of temperatures and of humidities, shares found."""
    offsets = np.array(sensitivity.offsets)
    cells = [
        f"{np.quantile(offsets[:, columns], quantile):.2g}"
        for columns in (slice(0, None, 2), slice(1, None, 2))
        for quantile in (0.5, 0.9)
    ]
    cells += [f"{np.mean(sensitivity.found[size]):.2f}" for size in SIZES]
    print(f"| {name} | {pace:g} | {' | '.join(cells)} |")


def main(paths: Sequence[str]) -> None:
    """Print the table."""
    judging_bundle = bundle.load(default_bundle.DEFAULT_BUNDLE_FOLDER)
    columns = ["plant", "period, s", "degC, median", "degC, worst tenth", "%RH, median", "%RH, worst tenth"]
    columns += [f"found at {size:g} x" for size in SIZES]
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    for kind, (_, sensors) in PLANT_KINDS.items():
        readings = simulate(Plant(GROUPS, PLANT_SEED, DEFAULT_START, FEATURES, kind), 0.0, HOURS)
        for pace in PACES:
            if pace >= sensors.sample_period:
                every = round(pace / sensors.sample_period)
                thinned = readings[readings.groupby("group").cumcount() % every == 0]
                print_row(kind, pace, measure(judging_bundle, thinned))
    for path in paths:
        frame = recordings.read(Path(path), FEATURE_NAMES)
        print_row(Path(path).stem, dataset.compute_sample_period([frame]), measure(judging_bundle, frame))


if __name__ == "__main__":
    main(sys.argv[1:])
