"""Compares two bundles on readings on which neither was trained, with the scoring of the monitor.

`sensor-monitor backtest` scores the whole recording with each bundle, so that every group has a baseline
before the held-out readings begin. The metrics are computed on the held-out readings only. A reading without
a verdict counts as predicted Normal.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from msgspec import structs
from numpy.typing import NDArray

from monitor import bundle
from monitor.bundle import Feature
from monitor.bundle.default_bundle import DEFAULT_BUNDLE_FOLDER
from monitor.core.errors import InvalidInputError
from monitor.core.python_process import python_command
from monitor.core.rules import default_max_gap
from training.data import recordings
from training.data.recordings import FAULTY_LABEL, NORMAL_LABEL
from training.evaluate import window_metrics
from training.faults.healthy_recordings import HealthyRecordings

__all__ = [
    "BundleMetrics",
    "Comparison",
    "ComparisonData",
    "find_default_bundle",
    "format_advice",
    "measure_bundle",
    "write_comparison_data",
]

# The first readings of a group are in no window, or only in windows without a baseline. A split of the
# windows is therefore up to this many readings later than a split of the readings at the same share.
_WARMUP_READINGS = 12
# Differences below this are none: the metrics are shown with four digits.
_TIE = 0.00005
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BundleMetrics:
    """Metrics of a bundle on the held-out readings."""

    name: str
    judged_share: float
    """Share of the readings with a verdict."""
    f1: float
    """F1 score of class Faulty on the copies with injected faults."""
    recall: float
    """Recall of class Faulty on the copies with injected faults."""
    false_share: float
    """Share of the Normal windows of the copies with injected faults that are predicted Faulty."""
    original_false_share: float
    """Share of the windows of the original recordings that are predicted Faulty."""

    def __str__(self) -> str:
        """Format the metrics as one line."""
        return (
            f"{self.name}: F1 {self.f1:.4f}, recall {self.recall:.4f}, Normal called Faulty "
            f"{self.false_share:.4f}, undisturbed {self.original_false_share:.4f}, "
            f"judged {self.judged_share:.1%}"
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """The metrics of a new bundle and of the bundle to beat, on the same readings."""

    new: BundleMetrics
    reference: BundleMetrics

    @property
    def is_tie(self) -> bool:
        """Whether both are equally good, as far as the figures that are shown tell."""
        new, reference = self.new, self.reference
        return (
            abs(new.f1 - reference.f1) < _TIE
            and abs(new.original_false_share - reference.original_false_share) < _TIE
        )

    @property
    def is_better(self) -> bool:
        """Whether the new one has a higher F1, and no more false alarms on the original recordings."""
        new, reference = self.new, self.reference
        return (
            not self.is_tie
            and new.f1 > reference.f1
            and new.original_false_share <= reference.original_false_share
        )

    @property
    def is_mixed(self) -> bool:
        """Whether the new one has a higher F1, and more false alarms on the original recordings."""
        return not self.is_tie and not self.is_better and self.new.f1 > self.reference.f1

    @property
    def verdict(self) -> str:
        """Which bundle is better, and by what, as text."""
        new, reference = self.new, self.reference
        if self.is_tie:
            return (
                f"a tie with {reference.name} on the part held back (F1 {new.f1:.4f} and {reference.f1:.4f})"
            )
        f1 = f"F1 {new.f1:.4f} and not {reference.f1:.4f}"
        shares = [f"{bundle.original_false_share:.2%}" for bundle in (new, reference)]
        false_shares = (
            f"{' and not '.join(dict.fromkeys(shares))} of the undisturbed windows are called Faulty"
            f"{' by either' if shares[0] == shares[1] else ''}"
        )
        if self.is_mixed:
            return (
                f"IT DOES NOT BEAT {reference.name} on the part held back: it finds more ({f1}), but "
                f"{false_shares}"
            )
        result = "it beats" if self.is_better else "IT DOES NOT BEAT"
        return f"{result} {reference.name} on the part held back ({f1}; {false_shares})"

    def as_dict(self) -> dict[str, object]:
        """Return verdict and metrics as a JSON-serialisable dict, for the manifest."""
        return {"verdict": self.verdict, "new": asdict(self.new), "reference": asdict(self.reference)}


@dataclass(frozen=True, slots=True, eq=False)
class ComparisonData:
    """The recording on which bundles are compared: the original recordings and their copies with faults."""

    path: Path
    """CSV file with the original recordings and the copies."""
    features: Sequence[Feature]
    """The features of the recording."""
    sample_period: float
    """Seconds between two readings of a group."""
    is_held_out: BoolArray
    """Whether each reading is held out: (reading,)."""
    labels: pd.DataFrame
    """The groups of the recording, and the true labels of its readings; originals are healthy."""
    is_original: BoolArray
    """Whether each reading belongs to an original recording: (reading,)."""

    def label_windows(self, steps: int) -> BoolArray:
        """Return whether any reading of the window that ends with each reading is faulty: (reading,)."""
        faulty = (self.labels["label"] == FAULTY_LABEL).astype(float)
        faulty_in_window = faulty.groupby(self.labels["group"]).rolling(steps, min_periods=1).max()
        truth: BoolArray = faulty_in_window.droplevel(0).sort_index().to_numpy(dtype=np.float64) > 0
        return truth


def find_default_bundle(names: Sequence[str]) -> Path | None:
    """Return the folder of the bundle that is installed with the monitor; None if it can't judge these.

    Parameters
    ----------
    names : names of the features of the recording.
    """
    if not DEFAULT_BUNDLE_FOLDER.is_dir():
        return None
    manifest = bundle.load(DEFAULT_BUNDLE_FOLDER).manifest
    can_judge = manifest.judges == "sensor" or manifest.feature_names == tuple(names)
    return DEFAULT_BUNDLE_FOLDER if can_judge else None


@contextmanager
def write_comparison_data(healthy: HealthyRecordings, test_share: float) -> Iterator[ComparisonData]:
    """Write the comparison recording to a temporary file; the last `test_share` of each group is held out."""
    names = [feature.name for feature in healthy.features]
    copies = [recordings.read(path, names) for path in healthy.injected_paths]
    all_recordings = [*healthy.frames, *copies]
    # A copy has the same readings at the same times as its original, so both have the same held-out readings.
    held_out_masks = [
        _find_held_out(frame, test_share)
        for frame, _ in zip(cycle(healthy.frames), all_recordings, strict=False)
    ]
    # The number of the recording is added to the group names, so groups of copies have different names.
    frames = [
        frame.assign(group=f"{number}/" + frame["group"]) for number, frame in enumerate(all_recordings)
    ]
    with TemporaryDirectory(prefix="sensor-training-") as folder:
        path = Path(folder) / "recording.csv"
        recordings.write(pd.concat(frames)[["ts", "group", *names]], path)
        yield ComparisonData(
            path=path,
            features=healthy.features,
            sample_period=healthy.sample_period,
            is_held_out=np.concatenate(held_out_masks),
            labels=_collect_labels(frames, len(healthy.frames)),
            is_original=np.repeat([True, False], [healthy.reading_count, sum(map(len, copies))]),
        )


def measure_bundle(folder: Path, name: str, data: ComparisonData) -> BundleMetrics:
    """Score the comparison recording with a bundle, and compute metrics of the predictions.

    Raises
    ------
    InvalidInputError : `sensor-monitor backtest` rejected the bundle or the recording.
    """
    is_judged, predicted_faulty = _backtest(folder, data)
    rows = data.is_held_out & ~data.is_original
    is_faulty = data.label_windows(bundle.load(folder).manifest.steps)
    outcomes = window_metrics.count_outcomes(is_faulty[rows], predicted_faulty[rows])
    _, faulty = window_metrics.compute_class_reports(outcomes)
    return BundleMetrics(
        name=name,
        judged_share=float(is_judged[data.is_held_out].mean()),
        f1=faulty.f1 or 0.0,
        recall=faulty.recall or 0.0,
        false_share=outcomes.false_share or 0.0,
        original_false_share=float(predicted_faulty[data.is_held_out & data.is_original].mean()),
    )


def format_advice(comparison: Comparison, healthy: HealthyRecordings) -> str:
    """Return what to do after a comparison that the new bundle did not win."""
    if comparison.is_mixed:
        return (
            f"go on with {comparison.reference.name} where a false alarm costs more than a fault that is "
            "missed, and else with the new one"
        )
    if healthy.has_full_day:
        return (
            f"go on with {comparison.reference.name}; the recordings have {healthy.duration}, so a longer "
            "one would hardly change that"
        )
    return (
        f"go on with {comparison.reference.name}; a recording of a day or more, in place of "
        f"{healthy.duration}, may give a better one"
    )


def _find_held_out(frame: pd.DataFrame, share: float) -> BoolArray:
    """Return a mask of the readings after the last training window: (reading,)."""
    position = frame.groupby("group").cumcount()
    count = frame.groupby("group")["ts"].transform("size")
    is_held_out: BoolArray = (position >= np.ceil(count * (1 - share)) + _WARMUP_READINGS).to_numpy(
        dtype=np.bool_
    )
    return is_held_out


def _collect_labels(frames: Sequence[pd.DataFrame], original_count: int) -> pd.DataFrame:
    """Return groups and labels of all recordings, of which the first are original."""
    labelled = [
        frame[["group"]].assign(label=NORMAL_LABEL if number < original_count else frame["label"])
        for number, frame in enumerate(frames)
    ]
    return pd.concat(labelled, ignore_index=True)


def _backtest(folder: Path, data: ComparisonData) -> tuple[BoolArray, BoolArray]:
    """Return whether each reading has a verdict, and whether it was predicted Faulty: (reading,) each."""
    out = data.path.with_name("scores.csv")
    arguments = ["backtest", "--bundle", str(folder), "--recording", str(data.path), "--out", str(out)]
    # MONITOR_* variables may hold the settings of another plant, so they are removed. Both bundles are run
    # with the features of this recording, and the maximum gap that fits its sample period.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("MONITOR_")}
    environment["MONITOR_FEATURES"] = json.dumps([_to_setting(feature) for feature in data.features])
    environment["MONITOR_WINDOWS__MAX_GAP"] = str(default_max_gap(data.sample_period))
    command = python_command("monitor", *arguments)
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if completed.returncode:
        raise InvalidInputError(completed.stderr.strip().removeprefix("sensor-monitor: "))
    scores = pd.read_csv(out, usecols=["outcome", "prediction"], keep_default_na=False, dtype=str)
    return (scores["outcome"] == "judged").to_numpy(), (scores["prediction"] == "Faulty").to_numpy()


def _to_setting(feature: Feature) -> dict[str, str | float]:
    """Return a feature as `[[features]]` of the monitor's settings has it."""
    fields: dict[str, str | float | None] = structs.asdict(feature)
    said = {name: value for name, value in fields.items() if value is not None and value != ""}
    return {**said, "unit": feature.unit}
