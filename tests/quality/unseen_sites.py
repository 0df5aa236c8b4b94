"""Print how models do on sites that they were not trained on: `python -m tests.unseen SITE.csv ...`.

Each recording, healthy but for staged events, is a site: it is left out in turn, the models are trained on
the others with faults injected, and measured on it. See `make unseen`.
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
from monitor.core.rules import default_max_gap
from monitor.core.verdicts import Judgements
from monitor.detect import drift
from monitor.detect.alerts import AlertStage
from monitor.detect.ranges import RangeStage
from training.config.settings import FitSettings
from training.data import dataset, recordings, relative_windows
from training.data.cleaning import clean
from training.data.dataset import Dataset
from training.data.prepare import Prepared
from training.data.recordings import FAULTY, FEATURES, NAMES
from training.evaluate import quality
from training.evaluate.classifiers import Score, classic
from training.faults.inject import inject
from training.faults.kinds import KINDS, Sensor
from training.network import models
from training.network.train import train

SETTINGS = FitSettings(epochs=15, batch_size=256, learning_rate=3e-3, test_share=0)
DRAWS = (11, 12)  # of faults, to train with
TEST_DRAW = 1
MEDIAN_OF, MEDIAN_AGE = 240, 3  # readings
LASTING, BEFORE, AFTER = 5000, 400, 300  # readings; a site with fewer than their sum has a shorter fault
RECOVERY = 30  # readings
THRESHOLD = 0.5

Show = Callable[[Dataset], Dataset]


def as_it_comes(data: Dataset) -> Dataset:
    """Show raw windows."""
    return data


def rolling_median(data: Dataset) -> Dataset:
    """Take each group's causal rolling median off."""
    levels = np.empty((len(data), len(NAMES)))
    for stretch in np.unique(data.stretches):
        rows = np.flatnonzero(data.stretches == stretch)
        newest = pd.DataFrame(data.raw[rows, -1])
        levels[rows] = newest.rolling(MEDIAN_OF, min_periods=12).median().shift(MEDIAN_AGE).to_numpy()
    ready = np.isfinite(levels).all(axis=1)
    return replace(data[ready], windows=data.raw[ready] - levels[ready, None])


def own_normal(data: Dataset) -> Dataset:
    """Show windows in their group's normal, as the monitor does."""
    return relative_windows.shown(data, relative_windows.described(SETTINGS))


SHOWS: dict[str, tuple[Show, FitSettings]] = {
    "none": (as_it_comes, SETTINGS.model_copy(update={"baseline": "none"})),
    "rolling median": (rolling_median, SETTINGS.model_copy(update={"baseline": "none"})),
    "group's normal": (own_normal, SETTINGS),
}


@dataclass(frozen=True)
class Site:
    """A recording, and what is measured on it."""

    name: str
    healthy: pd.DataFrame

    def cut(self, frame: pd.DataFrame) -> Dataset:
        """Return its windows."""
        return dataset.build([frame], max_gap=default_max_gap(dataset.sample_period([frame])))

    def calm(self, frame: pd.DataFrame, data: Dataset) -> NDArray[np.bool_]:
        """Return which windows no staged event is in (window,)."""
        if "event" not in frame:
            return np.ones(len(data), dtype=np.bool_)
        return ~np.isin(data.ts, frame.loc[frame["event"] > 0, "ts"]).any(axis=1)

    def lasting(self) -> Iterator[tuple[str, pd.DataFrame, float, float]]:
        """Yield kind, recording, first and last time of a fault that lasts, on each kind of sensor."""
        own = self.healthy[self.healthy["group"] == self.healthy["group"].iloc[0]].reset_index(drop=True)
        end = min(BEFORE + LASTING, len(own) - AFTER)
        for column in (0, 3):
            true = own[NAMES[column]].to_numpy()
            sensor = Sensor.of(true, FEATURES[column].unit)
            for kind in ("offset", "gain", "stuck"):
                frame = own.copy()
                values = true.copy()
                values[BEFORE:end] = KINDS[kind].apply(
                    true[BEFORE:end], 1.0, sensor, np.random.default_rng(0)
                )
                frame[NAMES[column]] = np.round(values, sensor.decimals)
                frame.loc[BEFORE : end - 1, "label"] = FAULTY
                yield kind, frame, float(own["ts"].iloc[BEFORE]), float(own["ts"].iloc[end - 1])


def prepare(sites: list[Site], show: Show, settings: FitSettings) -> Prepared:
    """Return what the models learn from."""
    parts = [site.cut(inject(site.healthy, 0.3, draw)) for site in sites for draw in DRAWS]
    train, validation = dataset.hold_out(show(dataset.concat(parts)), settings.validation_share)
    train, report = clean(train, settings)
    healthy = train.windows[~train.faulty].reshape(-1, len(NAMES))
    if settings.baseline != "none":
        healthy = np.tile(healthy.reshape(-1, 1), len(NAMES))
    scaler = Scaler.of(healthy.mean(axis=0).tolist(), healthy.std(axis=0).tolist())
    return Prepared(train, validation, train[:0], scaler, report, 5.0, {}, [])


def trained_models(prepared: Prepared, settings: FitSettings) -> Iterator[tuple[str, Score]]:
    """Train and yield name and scores, scaled windows in."""
    trained = train(prepared, settings)
    yield "LSTM", lambda scaled: models.score(trained.network, scaled)
    scaled = prepared.scaler.transform(prepared.train.windows)
    boosting = HistGradientBoostingClassifier(class_weight="balanced", random_state=0)
    boosting.fit(scaled.reshape(len(scaled), -1), prepared.train.faulty)
    yield "gradient boosting", lambda others: boosting.predict_proba(others.reshape(len(others), -1))[:, 1]
    range_check = classic(0, None)["range check"][1]
    yield "range check", range_check.train(scaled, prepared.train.faulty)


def measure(site: Site, show: Show, prepared: Prepared, score: Score) -> dict[str, float]:
    """Return a line of the table."""
    known = {name: drift.learn(column) for name, column in zip(NAMES, prepared.healthy.T, strict=True)}
    ranges = RangeStage(NAMES, {name: (one.low, one.high) for name, one in known.items()})

    def called(data: Dataset) -> NDArray[np.bool_]:
        return score(prepared.scaler.transform(data.windows)) > THRESHOLD

    faulty = inject(site.healthy, 0.3, TEST_DRAW)
    data = show(site.cut(faulty))
    data = data[site.calm(faulty, data)]
    measured = quality.measure(data, called(data))
    rest = show(site.cut(site.healthy))
    wrong, calm = called(rest), site.calm(site.healthy, rest)
    flagged = ranges.flag(rest.windows)
    found = {
        "F1": measured.f1 or 0.0,
        **measured.recall_by_kind,
        "false": float(wrong[calm].mean()),
        "alerts": alerts(rest[calm], wrong[calm]),
        "out of range": float(flagged[calm].mean()),
        "judged": len(rest) / len(site.healthy),
        **staged(wrong[~calm], flagged[~calm]),
    }
    lasting, after = [], []
    for _, frame, begin, end in site.lasting():
        data = show(site.cut(frame))
        faults = called(data)
        ends = data.ts[:, -1]
        lasting.append(faults[(ends >= begin) & (ends <= end)].mean())
        period = dataset.sample_period([frame])
        calm = site.calm(frame, data)
        after.append(faults[calm & (ends > end + RECOVERY * period)].mean())
    return {**found, "lasting": float(min(lasting)), "after": float(max(after))}


def staged(faulty: NDArray[np.bool_], flagged: NDArray[np.bool_]) -> dict[str, float]:
    """Return how many windows with a staged event there are, and how many are called what."""
    counts = {
        "staged": len(faulty),
        "staged Faulty": faulty.sum(),
        "staged out of range": flagged.sum(),
        "staged Normal, in range": (~faulty & ~flagged).sum(),
    }
    return {name: float(count) for name, count in counts.items()}


def alerts(data: Dataset, faulty: NDArray[np.bool_]) -> float:
    """Return how many alerts the monitor's defaults make of these verdicts."""
    scores: FloatArray = faulty.astype(np.float64)
    groups = [str(stretch) for stretch in data.stretches]
    judged = Judgements(groups, data.ts, data.raw, scores, faulty, np.zeros(len(data), dtype=np.bool_))
    events = AlertStage().update(judged)
    return float(sum(event.status == "firing" for event in events))


def main(paths: list[str]) -> None:
    """Leave each site out in turn, and print the table."""
    sites = [Site(Path(path).stem, recordings.read(Path(path))) for path in paths]
    lines: list[dict[str, object]] = []
    for name, (show, settings) in SHOWS.items():
        for left_out in sites:
            prepared = prepare([site for site in sites if site is not left_out], show, settings)
            for model, score in trained_models(prepared, settings):
                line = measure(left_out, show, prepared, score)
                lines.append({"baseline": name, "model": model, "unseen": left_out.name, **line})
                print(f"{name}, {model}, {left_out.name}: F1 {line['F1']:.3f}", file=sys.stderr, flush=True)
    table = pd.DataFrame(lines)
    _print(table)
    print()
    _print(summary(table))


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return a line for each baseline and model: F1 by site, and the worst of all sites."""
    kinds = [name for name in table.columns if name in KINDS]
    lines = []
    for (name, model), part in table.groupby(["baseline", "model"], sort=False):
        f1 = {f"F1 {site}": score for site, score in zip(part["unseen"], part["F1"], strict=True)}
        worst = {
            "least recall": part[kinds].min(axis=None),
            "false": part["false"].max(),
            "out of range": part["out of range"].max(),
            "alerts": part["alerts"].sum(),
            "lasting": part["lasting"].min(),
            "after": part["after"].max(),
        }
        lines.append({"baseline": name, "model": model, **f1, **worst})
    return pd.DataFrame(lines)


def _print(table: pd.DataFrame) -> None:
    columns = list(table.columns)
    print("| " + " | ".join(columns) + " |")
    print("|---" * len(columns) + "|")
    for row in table.to_dict("records"):
        print("| " + " | ".join(_say(str(name), row[name]) for name in columns) + " |")


def _say(name: str, value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if np.isnan(value):
        return ""
    digits = {"alerts": 0, "staged": 0, "false": 4, "out": 4, "F1": 3}
    return f"{value:.{digits.get(name.partition(' ')[0], 2)}f}"


if __name__ == "__main__":
    main(sys.argv[1:])
