"""Two bundles beside each other on what neither has seen, each as the monitor runs it.

Both judge the whole recording with `sensor-monitor backtest`, so that whatever a bundle remembers of a group
is there when the held-back part begins, and only that part counts. A reading that isn't judged counts as
called Normal: who says nothing finds nothing.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitor.core.rules import default_max_gap
from training.config.errors import InputError
from training.data import recordings
from training.data.dataset import STEPS
from training.data.recordings import FAULTY, NAMES
from training.faults.healthy_recordings import Healthy

__all__ = ["Standing", "Trial", "packaged", "standing", "trial", "verdict"]

# A group's first readings are in no window, or in none that is shown in its normal, so the split by windows
# is up to so many readings later than one by readings.
_MARGIN = 12
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Standing:
    """How good a bundle is on the held-back part."""

    name: str
    judged: float
    """Share of its readings that got a verdict."""
    f1: float
    """Of Faulty, with faults injected."""
    recall: float
    false_share: float
    """Share of the Normal windows, with faults injected, that are called Faulty."""
    undisturbed: float
    """The same of the recording as it came."""

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"{self.name}: F1 {self.f1:.4f}, recall {self.recall:.4f}, Normal called Faulty "
            f"{self.false_share:.4f}, undisturbed {self.undisturbed:.4f}, judged {self.judged:.1%}"
        )

    def beats(self, other: "Standing") -> bool:
        """Say whether it finds faults better and doesn't pay for it with false alarms."""
        return self.f1 > other.f1 and self.undisturbed <= other.undisturbed


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What bundles are tried on: the recordings as they came and their copies with faults, in one file."""

    path: Path
    sample_period: float
    """Seconds between two readings of a group."""
    counts: Flags
    """Whether a reading is in the held-back part: (reading,)."""
    faulty: Flags
    """Whether the window that it ends is truly Faulty: (reading,)."""
    undisturbed: Flags
    """Whether it is of a recording as it came: (reading,)."""


def packaged() -> Path | None:
    """Return the bundle that comes with the monitor, if there is one."""
    folder = Path(str(resources.files("monitor.bundle"))) / "default"
    return folder if folder.is_dir() else None


@contextmanager
def trial(healthy: Healthy, test_share: float) -> Iterator[Trial]:
    """Lay out what bundles are tried on; the last `test_share` of each group's time counts."""
    copies = [recordings.read(path) for path in healthy.injected]
    parts = [*healthy.frames, *copies]
    counts = [_held_back(frame, test_share) for frame, _ in zip(cycle(healthy.frames), parts, strict=False)]
    # A group of a copy is a group of its own.
    whole = [frame.assign(group=f"{number}/" + frame["group"]) for number, frame in enumerate(parts)]
    with TemporaryDirectory(prefix="sensor-training-") as folder:
        path = Path(folder) / "trial.csv"
        recordings.write(pd.concat(whole)[["ts", "group", *NAMES]], path)
        yield Trial(
            path=path,
            sample_period=healthy.sample_period,
            counts=np.concatenate(counts),
            faulty=np.concatenate(
                [*(np.zeros(len(frame), dtype=np.bool_) for frame in healthy.frames), *map(_truth, copies)]
            ),
            undisturbed=np.repeat([True, False], [healthy.readings, sum(map(len, copies))]),
        )


def standing(folder: Path, name: str, tried_on: Trial) -> Standing:
    """Measure a bundle.

    Raises
    ------
    InputError : the monitor can't judge with it.
    """
    judged, called = _judge(folder, tried_on)
    rows = tried_on.counts & ~tried_on.undisturbed
    truth, said = tried_on.faulty[rows], called[rows]
    found, wrong, missed = (int(n.sum()) for n in (said & truth, said & ~truth, ~said & truth))
    return Standing(
        name=name,
        judged=float(judged[tried_on.counts].mean()),
        f1=2 * found / max(1, 2 * found + wrong + missed),
        recall=found / max(1, found + missed),
        false_share=wrong / max(1, int((~truth).sum())),
        undisturbed=float(called[tried_on.counts & tried_on.undisturbed].mean()),
    )


def verdict(new: Standing, other: Standing) -> str:
    """Return how the two compare, and what to do where the new one is no better."""
    beats = new.beats(other)
    said = f"{'it beats' if beats else 'IT DOES NOT BEAT'} {other.name} on the held-back part"
    advice = f": go on with {other.name}, and fit again to a longer recording, a day or more"
    return f"on the held-back part:\n  {new}\n  {other}\n{said}{'' if beats else advice}"


def _held_back(frame: pd.DataFrame, share: float) -> Flags:
    """Return which readings come after all windows that were trained on: (reading,)."""
    place = frame.groupby("group").cumcount()
    count = frame.groupby("group")["ts"].transform("size")
    late: Flags = (place >= np.ceil(count * (1 - share)) + _MARGIN).to_numpy(dtype=np.bool_)
    return late


def _truth(frame: pd.DataFrame) -> Flags:
    """Return whether any reading of the window that ends with each reading is faulty: (reading,)."""
    faulty = (frame["label"] == FAULTY).astype(float)
    newest = faulty.groupby(frame["group"]).rolling(STEPS, min_periods=1).max()
    truth: Flags = newest.droplevel(0).sort_index().to_numpy(dtype=np.float64) > 0
    return truth


def _judge(folder: Path, tried_on: Trial) -> tuple[Flags, Flags]:
    """Return whether each reading was judged, and whether it was called Faulty: (reading,) each."""
    out = tried_on.path.with_name("scores.csv")
    words = ["backtest", "--bundle", folder, "--recording", tried_on.path, "--out", out]
    # Settings for a plant of somebody's mustn't decide here, and both are to judge at this plant's pace.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("MONITOR_")}
    environment["MONITOR_WINDOWS__MAX_GAP"] = str(default_max_gap(tried_on.sample_period))
    command = [sys.executable, "-m", "monitor", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise InputError(done.stderr.strip().removeprefix("sensor-monitor: "))
    scores = pd.read_csv(out, usecols=["outcome", "prediction"], keep_default_na=False, dtype=str)
    return (scores["outcome"] == "judged").to_numpy(), (scores["prediction"] == "Faulty").to_numpy()
