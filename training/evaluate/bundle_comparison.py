"""Compare two bundles on readings that neither was trained on, each as the monitor runs it.

Both judge the whole recording with `sensor-monitor backtest`, so that the state of each group (its baseline)
exists when the held-back part begins; only that part is measured. A reading without a verdict counts as
called Normal.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitor.bundle.default_bundle import DEFAULT_BUNDLE_FOLDER
from monitor.core.errors import InvalidInputError
from monitor.core.rules import default_max_gap
from training.data import recordings
from training.data.dataset import STEPS
from training.data.features import FEATURE_NAMES
from training.data.recordings import FAULTY_LABEL
from training.evaluate import window_metrics
from training.faults.healthy_recordings import HealthyRecordings

__all__ = [
    "BundleMetrics",
    "ComparisonData",
    "default_bundle_folder",
    "format_comparison",
    "measure_bundle",
    "write_comparison_data",
]

# The first readings of a group are in no window, or in none with a baseline, so the split by windows is up to
# this many readings later than a split by readings.
_WARMUP_READINGS = 12
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BundleMetrics:
    """Quality of a bundle on the held-back part."""

    name: str
    judged_share: float
    """Share of the readings that got a verdict."""
    f1: float
    """F1 of Faulty on the copies with injected faults."""
    recall: float
    """Recall of Faulty on the copies with injected faults."""
    false_share: float
    """Share of the Normal windows of the copies with injected faults that are called Faulty."""
    original_false_share: float
    """Share of the windows of the original recordings that are called Faulty."""

    def __str__(self) -> str:
        """Format as one line."""
        return (
            f"{self.name}: F1 {self.f1:.4f}, recall {self.recall:.4f}, Normal called Faulty "
            f"{self.false_share:.4f}, undisturbed {self.original_false_share:.4f}, "
            f"judged {self.judged_share:.1%}"
        )

    def is_better_than(self, other: "BundleMetrics") -> bool:
        """Return whether its F1 is higher, without more false alarms on the original recordings."""
        return self.f1 > other.f1 and self.original_false_share <= other.original_false_share


@dataclass(frozen=True, slots=True, eq=False)
class ComparisonData:
    """The recording that bundles are compared on: the originals and their copies with faults, in one file."""

    path: Path
    sample_period: float
    """Seconds between two readings of a group."""
    is_held_out: BoolArray
    """Whether each reading is in the held-back part: (reading,)."""
    is_faulty: BoolArray
    """Whether the window that ends with each reading is truly Faulty: (reading,)."""
    is_original: BoolArray
    """Whether each reading is of an original recording: (reading,)."""


def default_bundle_folder() -> Path | None:
    """Return the folder of the bundle that is installed with the monitor; None where there is none."""
    return DEFAULT_BUNDLE_FOLDER if DEFAULT_BUNDLE_FOLDER.is_dir() else None


@contextmanager
def write_comparison_data(healthy: HealthyRecordings, test_share: float) -> Iterator[ComparisonData]:
    """Write the recording to compare bundles on; the last `test_share` of each group is held back."""
    copies = [recordings.read(path) for path in healthy.injected_paths]
    parts = [*healthy.frames, *copies]
    held_out_parts = [
        _held_out_mask(frame, test_share) for frame, _ in zip(cycle(healthy.frames), parts, strict=False)
    ]
    # The groups of each copy become groups of their own.
    frames = [frame.assign(group=f"{number}/" + frame["group"]) for number, frame in enumerate(parts)]
    with TemporaryDirectory(prefix="sensor-training-") as folder:
        path = Path(folder) / "write_comparison_data.csv"
        recordings.write(pd.concat(frames)[["ts", "group", *FEATURE_NAMES]], path)
        yield ComparisonData(
            path=path,
            sample_period=healthy.sample_period,
            is_held_out=np.concatenate(held_out_parts),
            is_faulty=np.concatenate(
                [
                    *(np.zeros(len(frame), dtype=np.bool_) for frame in healthy.frames),
                    *map(_window_truth, copies),
                ]
            ),
            is_original=np.repeat([True, False], [healthy.reading_count, sum(map(len, copies))]),
        )


def measure_bundle(folder: Path, name: str, data: ComparisonData) -> BundleMetrics:
    """Judge the recording with a bundle, and measure the verdicts.

    Raises
    ------
    InvalidInputError : the backtest refused the bundle or the recording.
    """
    is_judged, called_faulty = _backtest(folder, data)
    rows = data.is_held_out & ~data.is_original
    outcomes = window_metrics.count_outcomes(data.is_faulty[rows], called_faulty[rows])
    _, faulty = window_metrics.class_reports(outcomes)
    return BundleMetrics(
        name=name,
        judged_share=float(is_judged[data.is_held_out].mean()),
        f1=faulty.f1 or 0.0,
        recall=faulty.recall or 0.0,
        false_share=outcomes.false_share or 0.0,
        original_false_share=float(called_faulty[data.is_held_out & data.is_original].mean()),
    )


def format_comparison(new: BundleMetrics, reference: BundleMetrics) -> str:
    """Return both results, which bundle is better, and what to do where the new one is not."""
    is_better = new.is_better_than(reference)
    result = f"{'it beats' if is_better else 'IT DOES NOT BEAT'} {reference.name} on the held-back part"
    advice = f": go on with {reference.name}, and fit again to a longer recording, a day or more"
    return f"on the held-back part:\n  {new}\n  {reference}\n{result}{'' if is_better else advice}"


def _held_out_mask(frame: pd.DataFrame, share: float) -> BoolArray:
    """Return which readings come after all windows of the training: (reading,)."""
    position = frame.groupby("group").cumcount()
    count = frame.groupby("group")["ts"].transform("size")
    is_held_out: BoolArray = (position >= np.ceil(count * (1 - share)) + _WARMUP_READINGS).to_numpy(
        dtype=np.bool_
    )
    return is_held_out


def _window_truth(frame: pd.DataFrame) -> BoolArray:
    """Return whether any reading of the window that ends with each reading is faulty: (reading,)."""
    faulty = (frame["label"] == FAULTY_LABEL).astype(float)
    faulty_in_window = faulty.groupby(frame["group"]).rolling(STEPS, min_periods=1).max()
    truth: BoolArray = faulty_in_window.droplevel(0).sort_index().to_numpy(dtype=np.float64) > 0
    return truth


def _backtest(folder: Path, data: ComparisonData) -> tuple[BoolArray, BoolArray]:
    """Return whether each reading was judged, and whether it was called Faulty: (reading,) each."""
    out = data.path.with_name("scores.csv")
    arguments = ["backtest", "--bundle", folder, "--recording", data.path, "--out", out]
    # MONITOR_* variables are settings of some plant and must not apply here. Both bundles get the gap that
    # fits this recording's sample period.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("MONITOR_")}
    environment["MONITOR_WINDOWS__MAX_GAP"] = str(default_max_gap(data.sample_period))
    command = [sys.executable, "-m", "monitor", *map(str, arguments)]
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if completed.returncode:
        raise InvalidInputError(completed.stderr.strip().removeprefix("sensor-monitor: "))
    scores = pd.read_csv(out, usecols=["outcome", "prediction"], keep_default_na=False, dtype=str)
    return (scores["outcome"] == "judged").to_numpy(), (scores["prediction"] == "Faulty").to_numpy()
