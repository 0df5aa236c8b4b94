"""Compares two bundles on readings on which neither was trained, with the scoring of the monitor.

`sensor-monitor backtest` scores the whole recording with each bundle, so that every group has a baseline
before the held-out readings begin. The metrics are computed on the held-out readings only. A reading without
a verdict counts as predicted Normal.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitor import bundle
from monitor.bundle.default_bundle import DEFAULT_BUNDLE_FOLDER
from monitor.core.errors import InvalidInputError
from monitor.core.rules import default_max_gap
from training.data import recordings
from training.data.recordings import FAULTY_LABEL, NORMAL_LABEL
from training.evaluate import window_metrics
from training.faults.healthy_recordings import HealthyRecordings

__all__ = [
    "BundleMetrics",
    "ComparisonData",
    "find_default_bundle",
    "format_comparison",
    "measure_bundle",
    "write_comparison_data",
]

# The first readings of a group are in no window, or only in windows without a baseline. A split of the
# windows is therefore up to this many readings later than a split of the readings at the same share.
_WARMUP_READINGS = 12
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

    def is_better_than(self, other: "BundleMetrics") -> bool:
        """Return whether the F1 score is higher, without more false alarms on the original recordings."""
        return self.f1 > other.f1 and self.original_false_share <= other.original_false_share


@dataclass(frozen=True, slots=True, eq=False)
class ComparisonData:
    """The recording on which bundles are compared: the original recordings and their copies with faults."""

    path: Path
    """CSV file with the original recordings and the copies."""
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
    """Return the folder of the bundle that is installed with the monitor; None if it judges other features.

    Parameters
    ----------
    names : names of the features of the recording.
    """
    if not DEFAULT_BUNDLE_FOLDER.is_dir():
        return None
    is_comparable = bundle.load(DEFAULT_BUNDLE_FOLDER).manifest.feature_names == tuple(names)
    return DEFAULT_BUNDLE_FOLDER if is_comparable else None


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


def format_comparison(new: BundleMetrics, reference: BundleMetrics) -> str:
    """Return a text with the metrics of both bundles and which bundle is better.

    If the new bundle is not better, the text recommends what to do.
    """
    is_better = new.is_better_than(reference)
    result = f"{'it beats' if is_better else 'IT DOES NOT BEAT'} {reference.name} on the held-back part"
    advice = f": go on with {reference.name}, and fit again to a longer recording, a day or more"
    return f"on the held-back part:\n  {new}\n  {reference}\n{result}{'' if is_better else advice}"


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
    arguments = ["backtest", "--bundle", folder, "--recording", data.path, "--out", out]
    # MONITOR_* variables may hold the settings of another plant, so they are removed. Both bundles are run
    # with the maximum gap that fits the sample period of this recording.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("MONITOR_")}
    environment["MONITOR_WINDOWS__MAX_GAP"] = str(default_max_gap(data.sample_period))
    command = [sys.executable, "-m", "monitor", *map(str, arguments)]
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if completed.returncode:
        raise InvalidInputError(completed.stderr.strip().removeprefix("sensor-monitor: "))
    scores = pd.read_csv(out, usecols=["outcome", "prediction"], keep_default_na=False, dtype=str)
    return (scores["outcome"] == "judged").to_numpy(), (scores["prediction"] == "Faulty").to_numpy()
