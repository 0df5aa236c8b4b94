"""Measures how often the kind of an incident's fault is right; run by `make kinds`.

Use: `python -m tests.quality.fault_kinds [SITE.csv ...]`. Faults are injected into simulated plants of every
kind and into the recordings, which are healthy except for staged events. They are judged with the bundle that
comes with the monitor. An incident counts if it overlaps one injected fault and no other; its kind is that of
its last event. The last tables have faults that last longer, so that the true value moves meanwhile.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd

from monitor import bundle
from monitor.bundle import Bundle, default_bundle
from monitor.config.settings import AlertSettings, WindowSettings
from monitor.core.readings import Readings
from monitor.core.rules import default_max_gap
from monitor.service.settings_to_stages import build_scoring
from tests.support.training_features import FEATURE_NAMES, FEATURES
from training.data import dataset, recordings
from training.data.plant_kinds import PLANT_KINDS
from training.data.simulate import DEFAULT_START, Plant, simulate
from training.faults.fault_kinds import DEFAULT_FAULT_KINDS, FAULT_KINDS
from training.faults.inject import inject

GROUPS, HOURS = 2, 24.0
PLANT_SEED = 11
FAULT_SEEDS = (21, 22, 23, 24)
FAULT_RATE = 0.03
"""So small that a fault is over, and its incident too, before the next begins."""
LONG_KINDS = ("offset", "gain", "stuck")
LONG_FAULTS = (120, 600)
"""Smallest and largest number of readings of a long fault; of the others 6 and 30."""
LONG_FAULT_RATE = 0.2
NO_KIND = "null"


def judge(judging_bundle: Bundle, frame: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Yield for each incident with one fault: the kinds of the fault, of the first event and of the last."""
    max_gap = default_max_gap(dataset.compute_sample_period([frame]))
    scoring = build_scoring(judging_bundle, WindowSettings(max_gap=max_gap), AlertSettings())
    for group, readings in frame.groupby("group"):
        ts, kinds = readings["ts"].to_numpy(), readings["kind"].to_numpy()
        count = len(readings)
        batch = Readings(
            groups=[str(group)] * count,
            ts=ts,
            values=readings[FEATURE_NAMES].to_numpy(),
            arrived_at=np.full(count, np.inf),
            arrived_monotonic=np.zeros(count),
            redelivered=np.zeros(count, dtype=np.bool_),
        )
        starts = np.diff(kinds != "", prepend=False) & (kinds != "")  # (reading,)
        numbers = np.cumsum(starts)  # number of the newest fault (reading,)
        events = scoring.judge(batch).events
        for firing, resolved in zip(events[::2], events[1::2], strict=False):
            in_incident = (ts >= firing.window_ts[0]) & (ts <= resolved.window_ts[-1]) & (kinds != "")
            if len(set(numbers[in_incident])) == 1:
                yield kinds[in_incident][0], firing.kind or NO_KIND, resolved.kind or NO_KIND


def measure(
    judging_bundle: Bundle, plants: dict[str, pd.DataFrame], kinds: Sequence[str], rate: float
) -> pd.DataFrame:
    """Return a row for each incident: plant, fault, kind in the first event and in the last one."""
    rows = [
        (name, *incident)
        for name, healthy in plants.items()
        for seed in FAULT_SEEDS
        for incident in judge(judging_bundle, inject(healthy, FEATURES, rate, seed, kinds))
    ]
    return pd.DataFrame(rows, columns=["plant", "fault", "first", "last"])


def print_tables(incidents: pd.DataFrame) -> None:
    """Print a table of faults by the kind that the last event had, and one by plant."""
    counts = pd.crosstab(incidents["fault"], incidents["last"])
    _print_row("fault", "incidents", "right", "told at once", *counts.columns)
    print("|---" * (4 + len(counts.columns)) + "|")
    for fault, row in counts.iterrows():
        of_fault = incidents[incidents["fault"] == fault]
        right = (of_fault["last"] == fault).mean()
        at_once = (of_fault["first"] == fault).mean()
        _print_row(str(fault), str(len(of_fault)), f"{right:.3f}", f"{at_once:.2f}", *map(str, row))
    print()
    is_right = incidents["fault"] == incidents["last"]
    by_plant = pd.crosstab(incidents["plant"], incidents["fault"], values=is_right, aggfunc="mean")
    _print_row("plant", *by_plant.columns)
    print("|---" * (1 + len(by_plant.columns)) + "|")
    for plant, row in by_plant.iterrows():
        _print_row(str(plant), *("" if np.isnan(share) else f"{share:.2f}" for share in row))


def _print_row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |")


def main(paths: Sequence[str]) -> None:
    """Print the tables of default faults, of all faults, and of long ones."""
    judging_bundle = bundle.load(default_bundle.DEFAULT_BUNDLE_FOLDER)
    plants = {
        kind: simulate(Plant(GROUPS, PLANT_SEED, DEFAULT_START, FEATURES, kind), 0.0, HOURS)
        for kind in PLANT_KINDS
    }
    plants |= {Path(path).stem: recordings.read(Path(path), FEATURE_NAMES) for path in paths}
    print("The kinds that are injected by default:\n")
    print_tables(measure(judging_bundle, plants, DEFAULT_FAULT_KINDS, FAULT_RATE))
    print("\nThe kinds that are injected on request:\n")
    print_tables(measure(judging_bundle, plants, ("drift", "noise"), FAULT_RATE))
    print("\nFaults of {} to {} readings:\n".format(*LONG_FAULTS))
    long_kinds = {kind: replace(FAULT_KINDS[kind], length_range=LONG_FAULTS) for kind in LONG_KINDS}
    with patch.dict(FAULT_KINDS, long_kinds):
        print_tables(measure(judging_bundle, plants, LONG_KINDS, LONG_FAULT_RATE))


if __name__ == "__main__":
    main(sys.argv[1:])
