"""Compares networks for the default bundle by size; run by `make sizes`.

Use: `python -m tests.quality.network_sizes TRAINING.csv ... -- SITE.csv ...`. Each network is trained on the
healthy training recordings as `make bundle` does, and measured on sites that it was not trained on: F1 with
faults in 30 % of the readings, and the share of windows called Faulty without them.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from monitor.core.arrays import FloatArray
from monitor.core.rules import DEFAULT_THRESHOLD, default_max_gap
from training.config.settings import FitSettings
from training.data import baseline_windows, dataset, recordings
from training.data.dataset import Dataset
from training.data.prepare import PreparedData, prepare
from training.evaluate import window_metrics
from training.evaluate.classifiers import ScoreFunction
from training.faults import healthy_recordings
from training.faults.inject import inject
from training.network import models
from training.network.train import train

NETWORKS = {
    "lstm 128/64/32": {},
    "lstm 32/16/16": {"units": (32, 16, 16), "dropout": (0.0, 0.0)},
    "sensor-lstm 32/16/16": {"network": "sensor-lstm", "units": (32, 16, 16)},
    "sensor-lstm 16/8/8": {"network": "sensor-lstm"},
    "sensor-lstm 8/8/8": {"network": "sensor-lstm", "units": (8, 8, 8)},
}
THRESHOLD_UNITS = 3.0
EPOCHS, BATCH_SIZE = 6, 256  # as in `make bundle`
RATE, SEED = 0.3, 1


def build_settings(**changes: object) -> FitSettings:
    """Return the settings of `make bundle` with some changed."""
    return FitSettings(epochs=EPOCHS, batch_size=BATCH_SIZE, **changes)  # type: ignore[arg-type]


def build_site(path: Path) -> tuple[Dataset, Dataset]:
    """Return the windows of a site with faults, and without; staged events are left out."""
    settings = build_settings()
    names = settings.feature_names
    healthy = recordings.read(path, names)
    spec = baseline_windows.baseline_from_settings(settings)
    event_ts = healthy.loc[healthy["event"] > 0, "ts"] if "event" in healthy else pd.Series(dtype=float)

    def build(frame: pd.DataFrame) -> Dataset:
        max_gap = default_max_gap(dataset.compute_sample_period([frame]))
        data = dataset.build([frame], names, steps=settings.steps, max_gap=max_gap)
        judged = baseline_windows.apply_baseline(data, settings.quantities, spec, settings.judges)
        return judged[~np.isin(judged.ts, event_ts).any(axis=1)]

    with_faults = inject(healthy, settings.bundle_features, RATE, SEED)
    return build(with_faults), build(healthy.assign(label=recordings.NORMAL_LABEL))


def train_network(prepared: PreparedData, settings: FitSettings) -> tuple[ScoreFunction, int]:
    """Return the score function of a trained network, and the number of its trained numbers."""
    network = train(prepared, settings).network
    return lambda scaled: models.compute_scores(network, scaled), network.count_params()


def main(arguments: Sequence[str]) -> None:
    """Print a table: a row for each network, a column for each site."""
    split = arguments.index("--")
    training = [Path(name) for name in arguments[:split]]
    sites = {Path(name).stem: build_site(Path(name)) for name in arguments[split + 1 :]}
    with healthy_recordings.inject_copies(training, build_settings().bundle_features) as healthy:
        prepared = prepare(list(healthy.injected_paths), None, build_settings(), healthy.names)
    print(f"| network | trained numbers | {' | '.join(sites)} |")
    print("|---" * (2 + len(sites)) + "|")

    def threshold(scaled: FloatArray) -> FloatArray:
        units = prepared.scaler.scale * scaled + prepared.scaler.mean
        return (np.abs(units).max(axis=(1, 2)) > THRESHOLD_UNITS).astype(np.float64)

    def print_row(name: str, numbers: str, score: ScoreFunction) -> None:
        cells = []
        for with_faults, without in sites.values():
            predicted = score(prepared.scaler.transform(with_faults.windows)) > DEFAULT_THRESHOLD
            f1 = window_metrics.compute_window_metrics(with_faults, predicted).f1 or 0.0
            false = score(prepared.scaler.transform(without.windows)) > DEFAULT_THRESHOLD
            cells.append(f"{f1:.3f}, {false.mean():.2%}")
        print(f"| {name} | {numbers} | {' | '.join(cells)} |", flush=True)

    print_row(f"threshold of {THRESHOLD_UNITS:g} units", "0", threshold)
    for name, changes in NETWORKS.items():
        score, count = train_network(prepared, build_settings(**changes))
        print_row(name, f"{count:,}", score)


if __name__ == "__main__":
    main(sys.argv[1:])
