"""Measures models on sites that they were not trained on; run by `make unseen`.

Use: `python -m tests.quality.unseen_sites SITE.csv ...`. Each recording is a site, healthy except for staged
events. Each site is left out in turn: the models are trained on the other sites with injected faults, and
measured on this one.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from monitor.bundle.scaler import Scaler
from monitor.core.arrays import FloatArray
from monitor.core.rules import DEFAULT_THRESHOLD, default_max_gap
from monitor.core.verdicts import JudgedWindows
from monitor.detect import drift
from monitor.detect.alerts import AlertStage
from monitor.detect.ranges import RangeStage
from tests.support.training_features import FEATURE_NAMES, FEATURES
from training.config.settings import FitSettings
from training.data import baseline_windows, dataset, recordings
from training.data.cleaning import clean
from training.data.dataset import Dataset
from training.data.features import describe_sensor
from training.data.prepare import PreparedData
from training.data.recordings import FAULTY_LABEL
from training.evaluate import window_metrics
from training.evaluate.classifiers import ScoreFunction, build_candidates
from training.faults.fault_kinds import FAULT_KINDS, SensorStats
from training.faults.inject import inject
from training.network import models
from training.network.train import train

SETTINGS = FitSettings(epochs=15, batch_size=256, learning_rate=3e-3, test_share=0)
TRAINING_SEEDS = (11, 12)
"""Seeds of the faults that are injected into the training recordings."""
TEST_SEED = 1
"""Seed of the faults that are injected into the recording of the site that is left out."""
MEDIAN_WINDOW, MEDIAN_LAG = 240, 3
"""Readings in the rolling median, and between its newest reading and the judged one."""
FAULT_LENGTH = 5000
"""Readings of a lasting fault; fewer on a site that is too short."""
READINGS_BEFORE_FAULT, READINGS_AFTER_FAULT = 400, 300
RECOVERY_READINGS = 30
"""Readings after a lasting fault that aren't counted as false alarms."""

WindowTransform = Callable[[Dataset], Dataset]


def keep_raw(data: Dataset) -> Dataset:
    """Return the windows as they are."""
    return data


def subtract_rolling_median(data: Dataset) -> Dataset:
    """Subtract the rolling median of each group's earlier readings; leave out windows that have none yet."""
    medians = np.empty((len(data), len(FEATURE_NAMES)))  # (window, feature)
    for series_id in np.unique(data.series_ids):
        rows = np.flatnonzero(data.series_ids == series_id)
        newest = pd.DataFrame(data.raw_windows[rows, -1])  # (window of the series, feature)
        medians[rows] = newest.rolling(MEDIAN_WINDOW, min_periods=12).median().shift(MEDIAN_LAG).to_numpy()
    is_ready = np.isfinite(medians).all(axis=1)  # (window,)
    return replace(data[is_ready], windows=data.raw_windows[is_ready] - medians[is_ready, None])


def subtract_group_baseline(data: Dataset) -> Dataset:
    """Return windows relative to their group's baseline, as the monitor's model gets them."""
    spec = baseline_windows.baseline_from_settings(SETTINGS)
    return baseline_windows.apply_baseline(data, SETTINGS.quantities, spec, SETTINGS.judges)


BASELINE_TRANSFORMS: dict[str, tuple[WindowTransform, FitSettings]] = {
    "none": (keep_raw, SETTINGS.model_copy(update={"baseline": "none"})),
    "rolling median": (subtract_rolling_median, SETTINGS.model_copy(update={"baseline": "none"})),
    "group's normal": (subtract_group_baseline, SETTINGS),
}


@dataclass(frozen=True)
class Site:
    """A site: its recording, which is healthy except for staged events, and the test data made from it."""

    name: str
    healthy: pd.DataFrame

    def build_windows(self, frame: pd.DataFrame) -> Dataset:
        """Return the windows of a recording of this site."""
        return dataset.build(
            [frame], FEATURE_NAMES, steps=3, max_gap=default_max_gap(dataset.compute_sample_period([frame]))
        )

    def without_staged_event(self, frame: pd.DataFrame, data: Dataset) -> NDArray[np.bool_]:
        """Return which windows contain no reading of a staged event: (window,)."""
        if "event" not in frame:
            return np.ones(len(data), dtype=np.bool_)
        in_event = np.isin(data.ts, frame.loc[frame["event"] > 0, "ts"])  # (window, step)
        return ~in_event.any(axis=1)

    def long_faults(self) -> Iterator[tuple[str, pd.DataFrame, float, float]]:
        """Yield kind, recording, first and last event time of each lasting fault.

        Each kind of fault is put into the first temperature and into the second humidity of the first group.
        """
        group_readings = self.healthy[self.healthy["group"] == self.healthy["group"].iloc[0]].reset_index(
            drop=True
        )
        fault_end = min(READINGS_BEFORE_FAULT + FAULT_LENGTH, len(group_readings) - READINGS_AFTER_FAULT)
        for column in (0, 3):
            true_values = group_readings[FEATURE_NAMES[column]].to_numpy()
            sensor = SensorStats.from_values(true_values, describe_sensor(FEATURES[column]))
            for kind in ("offset", "gain", "stuck"):
                frame = group_readings.copy()
                faulty_values = true_values.copy()
                faulty_values[READINGS_BEFORE_FAULT:fault_end] = FAULT_KINDS[kind].apply(
                    true_values[READINGS_BEFORE_FAULT:fault_end], 1.0, sensor, np.random.default_rng(0)
                )
                frame[FEATURE_NAMES[column]] = np.round(faulty_values, sensor.decimals)
                frame.loc[READINGS_BEFORE_FAULT : fault_end - 1, "label"] = FAULTY_LABEL
                yield (
                    kind,
                    frame,
                    float(group_readings["ts"].iloc[READINGS_BEFORE_FAULT]),
                    float(group_readings["ts"].iloc[fault_end - 1]),
                )


def prepare(sites: list[Site], transform: WindowTransform, settings: FitSettings) -> PreparedData:
    """Return the cleaned training data, validation data and scaler of some sites, with injected faults."""
    datasets = [
        site.build_windows(inject(site.healthy, FEATURES, 0.3, seed))
        for site in sites
        for seed in TRAINING_SEEDS
    ]
    training_data, validation_data = dataset.hold_out(
        transform(dataset.concat(datasets)), settings.validation_share
    )
    training_data, report = clean(training_data, settings)
    healthy = training_data.windows[~training_data.faulty].reshape(-1, len(FEATURE_NAMES))
    if settings.baseline != "none":
        healthy = np.tile(healthy.reshape(-1, 1), len(FEATURE_NAMES))
    scaler = Scaler.from_numbers(healthy.mean(axis=0).tolist(), healthy.std(axis=0).tolist())
    return PreparedData(training_data, validation_data, training_data[:0], scaler, report, 5.0, {}, [])


def trained_models(prepared: PreparedData, settings: FitSettings) -> Iterator[tuple[str, ScoreFunction]]:
    """Train the models; yield the name of each and its function from scaled windows to scores."""
    training_result = train(prepared, settings)
    yield "LSTM", lambda scaled: models.compute_scores(training_result.network, scaled)
    scaled = prepared.scaler.transform(prepared.train.windows)
    classifier = HistGradientBoostingClassifier(class_weight="balanced", random_state=0)
    classifier.fit(scaled.reshape(len(scaled), -1), prepared.train.faulty)
    yield "gradient boosting", lambda rows: classifier.predict_proba(rows.reshape(len(rows), -1))[:, 1]
    range_check = build_candidates(0, None)["range check"][1]
    yield "range check", range_check.train(scaled, prepared.train.faulty)


def measure(
    site: Site, transform: WindowTransform, prepared: PreparedData, score: ScoreFunction
) -> dict[str, float]:
    """Measure one model on the site that it wasn't trained on; return a row of the table: column -> value."""
    learned_ranges = {
        name: drift.fit_distribution(values)
        for name, values in zip(FEATURE_NAMES, prepared.healthy_readings.T, strict=True)
    }
    ranges = RangeStage(
        FEATURE_NAMES,
        {name: (learned_range.low, learned_range.high) for name, learned_range in learned_ranges.items()},
    )

    def predict_faulty(data: Dataset) -> NDArray[np.bool_]:
        return score(prepared.scaler.transform(data.windows)) > DEFAULT_THRESHOLD

    faulty_recording = inject(site.healthy, FEATURES, 0.3, TEST_SEED)
    faulty_data = transform(site.build_windows(faulty_recording))
    faulty_data = faulty_data[site.without_staged_event(faulty_recording, faulty_data)]
    test_quality = window_metrics.compute_window_metrics(faulty_data, predict_faulty(faulty_data))
    healthy_data = transform(site.build_windows(site.healthy))
    healthy_predictions = predict_faulty(healthy_data)
    event_free = site.without_staged_event(site.healthy, healthy_data)
    out_of_range = ranges.flag(healthy_data.windows)
    return {
        "F1": test_quality.f1 or 0.0,
        **test_quality.recall_by_kind,
        "false": float(healthy_predictions[event_free].mean()),
        "alerts": count_alerts(healthy_data[event_free], healthy_predictions[event_free]),
        "out of range": float(out_of_range[event_free].mean()),
        "judged": len(healthy_data) / len(site.healthy),
        **count_staged_windows(healthy_predictions[~event_free], out_of_range[~event_free]),
        **measure_long_faults(site, transform, predict_faulty),
    }


def measure_long_faults(
    site: Site, transform: WindowTransform, predict_faulty: Callable[[Dataset], NDArray[np.bool_]]
) -> dict[str, float]:
    """Return the lowest recall during a lasting fault, and the highest share of false alarms after one."""
    recall_during_fault, false_share_after = [], []
    for _, frame, fault_start, fault_end in site.long_faults():
        data = transform(site.build_windows(frame))
        predictions = predict_faulty(data)
        window_end_ts = data.ts[:, -1]
        recall_during_fault.append(
            predictions[(window_end_ts >= fault_start) & (window_end_ts <= fault_end)].mean()
        )
        period = dataset.compute_sample_period([frame])
        event_free = site.without_staged_event(frame, data)
        false_share_after.append(
            predictions[event_free & (window_end_ts > fault_end + RECOVERY_READINGS * period)].mean()
        )
    return {"lasting": float(min(recall_during_fault)), "after": float(max(false_share_after))}


def count_staged_windows(faulty: NDArray[np.bool_], out_of_range: NDArray[np.bool_]) -> dict[str, float]:
    """Count the windows with a staged event: all, Faulty, out of range, and neither of the two."""
    counts = {
        "staged": len(faulty),
        "staged Faulty": faulty.sum(),
        "staged out of range": out_of_range.sum(),
        "staged Normal, in range": (~faulty & ~out_of_range).sum(),
    }
    return {name: float(count) for name, count in counts.items()}


def count_alerts(data: Dataset, faulty: NDArray[np.bool_]) -> float:
    """Return how many alerts the monitor raises for these verdicts with its default settings."""
    scores: FloatArray = faulty.astype(np.float64)
    groups = [str(series_id) for series_id in data.series_ids]
    in_range = np.zeros(len(data), dtype=np.bool_)
    judged = JudgedWindows(
        groups, data.ts, data.raw_windows, scores, faulty, in_range, faulty.astype(np.uint8)
    )
    events = AlertStage().update(judged)
    return float(sum(event.status == "firing" for event in events))


def main(paths: list[str]) -> None:
    """Leave each site out in turn, and print a table of all results and a summary."""
    sites = [Site(Path(path).stem, recordings.read(Path(path), FEATURE_NAMES)) for path in paths]
    rows: list[dict[str, object]] = []
    for name, (transform, settings) in BASELINE_TRANSFORMS.items():
        for held_out_site in sites:
            prepared = prepare([site for site in sites if site is not held_out_site], transform, settings)
            for model, score in trained_models(prepared, settings):
                row = measure(held_out_site, transform, prepared, score)
                rows.append({"baseline": name, "model": model, "unseen": held_out_site.name, **row})
                print(
                    f"{name}, {model}, {held_out_site.name}: F1 {row['F1']:.3f}", file=sys.stderr, flush=True
                )
    table = pd.DataFrame(rows)
    _print_table(table)
    print()
    _print_table(summarize(table))


def summarize(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each baseline and model: F1 of each site, and the worst value of all sites."""
    kinds = [name for name in table.columns if name in FAULT_KINDS]
    rows = []
    for (name, model), model_rows in table.groupby(["baseline", "model"], sort=False):
        f1 = {f"F1 {site}": score for site, score in zip(model_rows["unseen"], model_rows["F1"], strict=True)}
        worst = {
            "least recall": model_rows[kinds].min(axis=None),
            "false": model_rows["false"].max(),
            "out of range": model_rows["out of range"].max(),
            "alerts": model_rows["alerts"].sum(),
            "lasting": model_rows["lasting"].min(),
            "after": model_rows["after"].max(),
        }
        rows.append({"baseline": name, "model": model, **f1, **worst})
    return pd.DataFrame(rows)


def _print_table(table: pd.DataFrame) -> None:
    columns = list(table.columns)
    print("| " + " | ".join(columns) + " |")
    print("|---" * len(columns) + "|")
    for row in table.to_dict("records"):
        print("| " + " | ".join(_format_cell(str(name), row[name]) for name in columns) + " |")


def _format_cell(name: str, value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if np.isnan(value):
        return ""
    digits = {"alerts": 0, "staged": 0, "false": 4, "out": 4, "F1": 3}
    return f"{value:.{digits.get(name.partition(' ')[0], 2)}f}"


if __name__ == "__main__":
    main(sys.argv[1:])
