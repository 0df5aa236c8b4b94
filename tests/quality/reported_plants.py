"""Measures simulated plants whose sensors report as devices do; run by `make reported`.

The true signal of a plant, healthy or with injected faults, is reported by devices, aligned, and judged with
the bundle that comes with the monitor. Recall is compared with that of the true signal, judged as it is.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from unittest.mock import patch

import numpy as np
import pandas as pd

from monitor import bundle
from monitor.bundle import Bundle, default_bundle
from monitor.config.settings import Settings
from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.readings import Readings
from monitor.detect.scoring import ScoredBatch
from monitor.ingest.alignment import AlignedBatch, AlignmentStage
from monitor.service.settings_to_alignment import adapt_bundle, build_alignment
from monitor.service.settings_to_stages import build_scoring
from tests.quality.devices import Device, Reports, report
from tests.support.training_features import FEATURE_NAMES, FEATURES
from training.data.plant_kinds import PLANT_KINDS
from training.data.simulate import DEFAULT_START, Plant, simulate
from training.faults.fault_kinds import DEFAULT_FAULT_KINDS, FAULT_KINDS
from training.faults.inject import inject

GROUPS, HOURS = 4, 12.0
FAULT_RATE = 0.05
LASTING_KINDS = ("offset", "gain", "stuck")
FINE, COARSE = {"degC": 0.1, "%RH": 0.5}, {"degC": 0.5, "%RH": 2.0}
LONG_FAULT_FACTOR = 12
"""Length of long faults over that of the default ones, which are 6 to 30 readings."""
_MAX_AGE_INTERVALS = 1.5


@dataclass(frozen=True)
class Setup:
    """Devices, and the settings of their alignment."""

    device: Device
    period: float | None = None
    """As in `input.align`; None: the bundle's sample period."""
    tolerance: dict[str, float] | None = None
    """Unit -> `input.align.deadband`; None: the device's deadband."""

    @property
    def settings(self) -> Settings:
        """The settings, with a source that has a topic for each feature."""
        deadband = self.tolerance or self.device.deadband or {}
        align = {
            "period": self.period,
            "max_age": _MAX_AGE_INTERVALS * self.device.interval,
            "deadband": {feature.name: deadband[feature.unit] for feature in FEATURES if deadband},
        }
        source = {"topic": "plant/{line}/{station}/{feature}", "format": "number"}
        return Settings.model_validate({"input": {"sources": [source], "align": align}})


SETUPS = {
    "every 5 s": Setup(Device(5.0)),
    "every 60 s": Setup(Device(60.0), period=60.0),
    "fine, 5 min": Setup(Device(300.0, FINE)),
    "fine, 1 h": Setup(Device(3600.0, FINE)),
    "coarse, 5 min": Setup(Device(300.0, COARSE)),
    "coarse, 1 h": Setup(Device(3600.0, COARSE)),
}


@dataclass(frozen=True)
class Aligned:
    """What the alignment makes of reports."""

    batch: AlignedBatch
    rows: IndexArray
    """Row of the recording in which each value of the readings was measured: (reading, feature)."""
    stage: AlignmentStage
    """The stage after all of them."""


def load_default_bundle() -> Bundle:
    """Return the bundle that comes with the monitor."""
    return bundle.load(default_bundle.choose_folder(None))


def align(reports: Reports, settings: Settings, loaded: Bundle) -> Aligned:
    """Align reports as the daemon does, and find out which value of the readings comes from where."""
    manifest = loaded.manifest
    stage, row_stage = (
        build_alignment(settings, manifest.feature_names, manifest.sample_period) for _ in range(2)
    )
    assert stage is not None
    assert row_stage is not None
    batch = stage.push(reports.values, np.inf)
    # The alignment doesn't look at values, so numbers of rows take the same way.
    row_numbers = replace(reports.values, values=reports.rows.astype(np.float64))
    row_readings = row_stage.push(row_numbers, np.inf).readings
    return Aligned(batch, row_readings.values.astype(np.intp), stage)  # noqa: PD011, no frame


def judge(readings: Readings, settings: Settings, loaded: Bundle) -> ScoredBatch:
    """Judge readings as the daemon and `backtest` do."""
    settings, loaded = adapt_bundle(settings, loaded)
    return build_scoring(loaded, settings.windows, settings.alerts).judge(readings)


def judge_recording(recording: pd.DataFrame, loaded: Bundle) -> ScoredBatch:
    """Judge a recording as it is: one reading for each row."""
    period = float(np.diff(np.unique(recording["ts"])).min())
    settings = Settings.model_validate({"windows": {"max_gap": 3 * period}})
    readings = Readings(
        groups=recording["group"].tolist(),
        ts=recording["ts"].to_numpy(),
        values=recording[FEATURE_NAMES].to_numpy(),
        arrived_at=np.full(len(recording), np.inf),
        arrived_monotonic=np.zeros(len(recording)),
        redelivered=np.zeros(len(recording), np.bool_),
    )
    return judge(readings, settings, loaded)


def count_alerts(scored: ScoredBatch) -> int:
    """Return the number of incidents that begin."""
    return sum(event.status == "firing" for event in scored.events)


def simulate_plant(seed: int, kind: str = "mild") -> pd.DataFrame:
    """Return the true, healthy signal of a plant."""
    return simulate(Plant(GROUPS, seed, DEFAULT_START, FEATURES, kind), 0, HOURS)


def inject_faults(healthy: pd.DataFrame, seed: int, *, long: bool = False) -> pd.DataFrame:
    """Return the signal with faults: of all default kinds, or long ones of the lasting kinds."""
    if not long:
        return inject(healthy, FEATURES, FAULT_RATE, seed, DEFAULT_FAULT_KINDS)
    kinds = {
        name: replace(
            kind, length_range=tuple(LONG_FAULT_FACTOR * readings for readings in kind.length_range)
        )
        for name, kind in FAULT_KINDS.items()
    }
    with patch.dict(FAULT_KINDS, kinds):
        return inject(healthy, FEATURES, FAULT_RATE, seed, LASTING_KINDS)


@dataclass
class Recall:
    """Windows and episodes with a lasting fault, and how many of them were found."""

    windows: list[bool] = field(default_factory=list)
    """Whether each window whose last reading has such a fault is Faulty."""
    episodes: list[bool] = field(default_factory=list)
    """Whether some window whose last reading has the fault is Faulty, for each episode."""

    @property
    def by_window(self) -> float:
        """Share of the windows."""
        return float(np.mean(self.windows))

    @property
    def by_episode(self) -> float:
        """Share of the episodes; one that no window shows is not found."""
        return float(np.mean(self.episodes))

    def add(self, scored: ScoredBatch, window_rows: IndexArray, faulty: pd.DataFrame) -> None:
        """Add the windows of a plant.

        Parameters
        ----------
        window_rows : row of the recording in which the fault in each window's last reading was measured; -1
            if it has none: (window,).
        """
        episodes = _number_episodes(faulty)
        numbers = np.where(window_rows >= 0, episodes[window_rows], -1)
        is_found = scored.judged_windows.faulty
        self.windows += is_found[numbers >= 0].tolist()
        self.episodes += np.isin(np.unique(episodes[episodes >= 0]), numbers[is_found]).tolist()


def _number_episodes(faulty: pd.DataFrame) -> IndexArray:
    """Return the number of the lasting fault in each row; -1 if it has none: (row,)."""
    kinds = faulty["kind"].to_numpy()
    numbers = np.full(len(faulty), -1)
    count = 0
    for rows in faulty.groupby("group", sort=True).indices.values():
        is_new = np.append(True, kinds[rows][1:] != kinds[rows][:-1])
        numbers[rows] = np.where(np.isin(kinds[rows], LASTING_KINDS), count + np.cumsum(is_new), -1)
        count += len(rows)
    return numbers


def find_faulty_rows(rows: IndexArray, healthy: pd.DataFrame, faulty: pd.DataFrame) -> IndexArray:
    """Return the row in which a fault in each reading was measured, -1 if it has none: (reading,).

    Parameters
    ----------
    rows : row in which each value was measured (reading, feature).
    """
    is_faulty = healthy[FEATURE_NAMES].to_numpy() != faulty[FEATURE_NAMES].to_numpy()  # (row, feature)
    faulty_rows: IndexArray = np.where(is_faulty[rows, np.arange(len(FEATURE_NAMES))], rows, -1)
    return faulty_rows.max(axis=1)


def measure_recall(
    setups: Iterable[Setup], seeds: Sequence[int], loaded: Bundle, *, long: bool = False
) -> tuple[Recall, list[Recall]]:
    """Return the recall for the true signals of some plants, and for each setup that reports them."""
    true_recall, recalls = Recall(), [(setup, Recall()) for setup in setups]
    for seed in seeds:
        healthy = simulate_plant(seed)
        faulty = inject_faults(healthy, seed, long=long)
        all_rows = np.repeat(np.arange(len(faulty))[:, None], len(FEATURE_NAMES), axis=1)
        scored = judge_recording(faulty, loaded)
        faulty_rows = find_faulty_rows(all_rows, healthy, faulty)
        true_recall.add(scored, faulty_rows[scored.windows.reading_indices], faulty)
        for setup, recall in recalls:
            aligned = align(report(faulty, setup.device, seed), setup.settings, loaded)
            scored = judge(aligned.batch.readings, setup.settings, loaded)
            faulty_rows = find_faulty_rows(aligned.rows, healthy, faulty)
            recall.add(scored, faulty_rows[scored.windows.reading_indices], faulty)
    return true_recall, [recall for _, recall in recalls]


def measure_healthy(
    setup: Setup, seeds: Sequence[int], loaded: Bundle, kind: str = "mild"
) -> tuple[int, FloatArray]:
    """Return the false alerts of healthy plants, and the number of values and readings a group and hour."""
    alerts, counts = 0, np.zeros(2)
    for seed in seeds:
        reports = report(simulate_plant(seed, kind), setup.device, seed)
        aligned = align(reports, setup.settings, loaded)
        scored = judge(aligned.batch.readings, setup.settings, loaded)
        alerts += count_alerts(scored)
        counts += len(reports.rows), len(aligned.rows)
    return alerts, counts / (len(seeds) * GROUPS * HOURS)


def main(seeds: Sequence[int]) -> None:
    """Print the tables of docs/results/alignment.md."""
    loaded = load_default_bundle()
    short_true, short = measure_recall(SETUPS.values(), seeds, loaded)
    long_true, long = measure_recall(SETUPS.values(), seeds, loaded, long=True)
    _print_row("devices", "values/h", "readings/h", "false alerts", *("windows", "episodes") * 2)
    _print_row(*["---"] * 8)
    _print_row("the true signal", "", 720, 0, *_format_recall(short_true), *_format_recall(long_true))
    for (name, setup), *recalls in zip(SETUPS.items(), short, long, strict=True):
        alerts, (values, readings) = measure_healthy(setup, seeds, loaded)
        cells = [cell for recall in recalls for cell in _format_recall(recall)]
        _print_row(name, f"{values:.0f}", f"{readings:.0f}", alerts, *cells)
    print()
    _print_row("plant", "measures every", *_PLANT_SETUPS)
    _print_row(*["---"] * (2 + len(_PLANT_SETUPS)))
    for kind, (_, sensors) in PLANT_KINDS.items():
        interval = sensors.sample_period
        alerts = [
            measure_healthy(build(interval), seeds, loaded, kind)[0] for build in _PLANT_SETUPS.values()
        ]
        _print_row(kind, f"{interval:g} s", *alerts)


_PLANT_SETUPS: dict[str, Callable[[float], Setup]] = {
    "fine, period 5 s": lambda _: Setup(Device(300.0, FINE)),
    "fine, period as measured": lambda interval: Setup(Device(300.0, FINE), period=interval),
    "fine, period 60 s": lambda _: Setup(Device(300.0, FINE), period=60.0),
    "coarse, period 5 s": lambda _: Setup(Device(300.0, COARSE)),
    "every 10 s": lambda _: Setup(Device(10.0), period=10.0),
    "every 10 s, deadband 0.5 / 2": lambda _: Setup(Device(10.0), period=10.0, tolerance=COARSE),
    "every 60 s": lambda _: Setup(Device(60.0), period=60.0),
    "every 60 s, deadband 0.5 / 2": lambda _: Setup(Device(60.0), period=60.0, tolerance=COARSE),
}


def _format_recall(recall: Recall) -> tuple[str, str]:
    return f"{recall.by_window:.3f} of {len(recall.windows)}", f"{recall.by_episode:.3f}"


def _print_row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or range(1, 9))
