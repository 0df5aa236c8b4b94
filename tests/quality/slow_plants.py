"""Measures the default bundle on plants that sample slowly; run by `make slow`.

Use: `python -m tests.quality.slow_plants FOLDER`, where FOLDER has `rooms.parquet` and `outdoor.parquet`: a
house at 10 minutes. Simulated plants of all kinds at 60, 300 and 600 s are measured beside them.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitor import bundle
from monitor.bundle import Bundle, default_bundle
from monitor.core.verdicts import JudgedWindows
from monitor.detect.alerts import AlertStage
from tests.support.training_features import FEATURE_NAMES, FEATURES, QUANTITIES
from training.data import baseline_windows, dataset, recordings
from training.data.dataset import Dataset
from training.data.plant_kinds import PLANT_KINDS
from training.data.recordings import FAULTY_LABEL, NORMAL_LABEL
from training.data.simulate import DEFAULT_START, Plant, simulate
from training.evaluate.window_metrics import compute_window_metrics
from training.faults.inject import inject

FAULT_RATE, FAULT_SEEDS = 0.3, (1, 2, 3)
FAULT_OF_OUTDOOR_SENSOR = datetime(2016, 2, 25, tzinfo=UTC).timestamp()
"""From here on the house's outdoor sensor drifts."""
YOUNG_S = 3 * 86_400.0
"""Age of a group up to which its alerts are counted as those of a young group, seconds."""
SIMULATED_READINGS = {60.0: 4320, 300.0: 4032, 600.0: 4032}
"""Period in seconds -> readings of each simulated group."""
# The microclimate: the second place's daily course differs by this much, and the readings before, during and
# after the fault.
APART_C, APART_RH = 3.0, 6.0
BEFORE, DURING, AFTER = 1100, 400, 300
PHASES = 6
MAX_FAULTY_AFTER = 10


def judge(frames: list[pd.DataFrame], loaded: Bundle) -> tuple[Dataset, NDArray[np.bool_]]:
    """Return the windows that have a baseline, and which of them the bundle calls Faulty (window,)."""
    manifest = loaded.manifest
    data = dataset.build(
        frames, FEATURE_NAMES, steps=manifest.steps, max_gap=3 * dataset.compute_sample_period(frames)
    )
    relative = baseline_windows.apply_baseline(data, QUANTITIES, manifest.baseline, manifest.judges)
    scores = loaded.classifier.score(loaded.scaler.transform(relative.windows))
    return relative, scores > manifest.threshold


def find_alerts(data: Dataset, faulty: NDArray[np.bool_]) -> pd.DataFrame:
    """Return the alerts that these verdicts raise with default settings: columns ts and group (series id)."""
    judged = JudgedWindows(
        [str(series) for series in data.series_ids],
        data.ts,
        data.raw_windows,
        faulty.astype(np.float64),
        faulty,
        np.zeros(len(data), dtype=np.bool_),
        faulty.astype(np.uint8),
    )
    firing = [event for event in AlertStage().update(judged) if event.status == "firing"]
    return pd.DataFrame(
        {"ts": [event.window_ts[0] for event in firing], "group": [event.group for event in firing]}
    )


def measure(name: str, healthy: pd.DataFrame, loaded: Bundle) -> dict[str, object]:
    """Return a row of the table: a recording with injected faults, and undisturbed."""
    data, faulty = judge([healthy], loaded)
    alerts = find_alerts(data, faulty)
    disturbed, verdicts = judge([inject(healthy, FEATURES, FAULT_RATE, seed) for seed in FAULT_SEEDS], loaded)
    metrics = compute_window_metrics(disturbed, verdicts)
    lasting = np.isin(disturbed.kinds, ["offset", "gain", "stuck"])
    begin, end = float(healthy["ts"].min()), float(healthy["ts"].max())
    group_days = healthy["group"].nunique() * (end - begin) / 86_400
    return {
        "plant": name,
        "period": f"{dataset.compute_sample_period([healthy]):g} s",
        "F1": f"{metrics.f1:.3f}",
        "offset, gain, stuck": f"{verdicts[lasting].mean():.2f}",
        "spike": f"{metrics.recall_by_kind['spike']:.2f}",
        "Normal called Faulty": f"{100 * faulty.mean():.2f} %",
        "alerts": len(alerts),
        "a day and group": f"{len(alerts) / group_days:.3f}",
        "in the first 3 days": int((alerts["ts"] < begin + YOUNG_S).sum()),
    }


def simulate_at(period: float, readings: int, groups: int) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each kind of plant with its recording at another period than the kind's own."""
    for kind, (climate, sensors) in PLANT_KINDS.items():
        with patch.dict(PLANT_KINDS, {kind: (climate, replace(sensors, sample_period=period))}):
            yield (
                kind,
                simulate(
                    Plant(groups=groups, seed=6, start=DEFAULT_START, features=FEATURES, kind=kind),
                    0,
                    readings * period / 3600,
                ),
            )


def measure_microclimates(period: float, loaded: Bundle) -> dict[str, object]:
    """Return a row of the table: how many windows after a fault are Faulty where two places differ."""
    recordings_with_fault = []
    for _, plant in simulate_at(period, BEFORE + DURING + AFTER, groups=1):
        for phase in np.arange(PHASES) * 2 * np.pi / PHASES:
            for column, size in ((0, 4.0), (1, -15.0), (2, -2.0), (3, 8.0)):
                difference = np.cos(2 * np.pi * plant["ts"] / 86_400 - phase) / 2
                frame = plant.assign(
                    temperature_2=plant["temperature_2"] + APART_C * difference,
                    humidity_2=plant["humidity_2"] - APART_RH * difference,
                    kind="",
                )
                during = slice(BEFORE, BEFORE + DURING - 1)
                frame.loc[during, FEATURE_NAMES[column]] += size
                frame.loc[during, ["label", "kind"]] = [FAULTY_LABEL, "offset"]
                recordings_with_fault.append(frame)
    data, faulty = judge(recordings_with_fault, loaded)
    after_by_series = []
    for series in np.unique(data.series_ids):
        rows = np.flatnonzero(data.series_ids == series)
        last_faulty = int(np.flatnonzero(data.faulty[rows])[-1])
        after_by_series.append(int(faulty[rows[last_faulty + 1 :]].sum()))
    return {
        "period": f"{period:g} s",
        "faults": len(after_by_series),
        "found": f"{faulty[data.faulty].mean():.2f}",
        f"more than {MAX_FAULTY_AFTER} windows Faulty after it": int(
            (np.array(after_by_series) > MAX_FAULTY_AFTER).sum()
        ),
        "mean": f"{np.mean(after_by_series):.1f}",
        "most": max(after_by_series),
    }


def main(folder: Path) -> None:
    """Print both tables."""
    loaded = bundle.load(default_bundle.choose_folder(None))
    rooms, outdoor = (
        recordings.read(folder / name, FEATURE_NAMES).assign(label=NORMAL_LABEL)
        for name in ("rooms.parquet", "outdoor.parquet")
    )
    rows = [
        measure(str(group), frame.reset_index(drop=True), loaded) for group, frame in rooms.groupby("group")
    ]
    is_healthy = outdoor["ts"] < FAULT_OF_OUTDOOR_SENSOR
    rows.append(measure("house/outdoor-station", outdoor[is_healthy].reset_index(drop=True), loaded))
    for period, readings in SIMULATED_READINGS.items():
        plants = [
            frame.assign(group=f"{kind}/" + frame["group"], label=NORMAL_LABEL)
            for kind, frame in simulate_at(period, readings, groups=2)
        ]
        rows.append(measure("six simulated kinds", pd.concat(plants, ignore_index=True), loaded))
    print_table(rows)
    print()
    print_table([measure_microclimates(period, loaded) for period in (5.0, 60.0, 300.0, 600.0)])


def print_table(rows: list[dict[str, object]]) -> None:
    """Print rows with the same columns as a table in Markdown."""
    columns = list(rows[0])
    print("| " + " | ".join(columns) + " |")
    print("|---" * len(columns) + "|")
    for row in rows:
        print("| " + " | ".join(str(row[column]) for column in columns) + " |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
