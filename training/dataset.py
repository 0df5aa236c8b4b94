"""Recordings -> labelled windows, split by time."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitor.records import FloatArray, Readings
from monitor.windows import WindowStage
from training.recordings import FAULTY, NAMES

__all__ = ["STEPS", "Dataset", "build", "sample_period", "split"]

STEPS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Windows with their truth."""

    stretches: NDArray[np.intp]
    """Which group of which recording each window is from: (window,)."""
    ts: FloatArray
    """Event times, oldest first, seconds: (window, step)."""
    windows: FloatArray
    """Raw values: (window, step, feature)."""
    faulty: NDArray[np.bool_]
    """Whether any of its readings is: (window,)."""
    kinds: NDArray[np.str_]
    """The kind of fault of the last reading, "" where that is healthy: (window,)."""

    def __len__(self) -> int:
        return len(self.faulty)

    def __getitem__(self, which: NDArray[np.bool_] | slice) -> "Dataset":
        return Dataset(*(getattr(self, field.name)[which] for field in fields(self)))


def sample_period(frames: Sequence[pd.DataFrame]) -> float:
    """Return the median time between two readings of a group, s."""
    steps = [frame.groupby("group")["ts"].diff().dropna() for frame in frames]
    return float(pd.concat(steps).median())


def build(frames: Sequence[pd.DataFrame], max_gap: float) -> Dataset:
    """Cut recordings into windows with the monitor's own stage.

    Parameters
    ----------
    frames : recordings with `label` and perhaps `kind`, every feature a finite number.
    max_gap : seconds between two readings beyond which a window starts afresh.
    """
    stage = WindowStage(STEPS, len(NAMES) + 2, max_gap=max_gap)
    names = sorted({name for frame in frames for name in _kind(frame)})
    cut = []
    ts = []
    stretches: list[str] = []
    for number, frame in enumerate(frames):
        # Label and kind ride along as two more values, so that they can't drift from their readings.
        code = np.searchsorted(names, _kind(frame))
        values = np.column_stack([frame[NAMES], frame["label"] == FAULTY, code])  # (reading, feature + 2)
        groups = [f"{number}/{group}" for group in frame["group"]]
        no_clock = np.full(len(frame), np.inf)
        windows = stage.push(Readings(groups, frame["ts"].to_numpy(), values, no_clock, no_clock))
        cut.append(windows.values)
        ts.append(windows.ts)
        stretches += [groups[row] for row in windows.rows]
    values = np.concatenate(cut)  # (window, step, feature + 2)
    return Dataset(
        stretches=np.unique(stretches, return_inverse=True)[1],
        ts=np.concatenate(ts),
        windows=np.ascontiguousarray(values[:, :, :-2]),
        faulty=np.any(values[:, :, -2] > 0, axis=1),
        kinds=np.array(names, dtype=str)[values[:, -1, -1].astype(int)],
    )


def split(data: Dataset, share: float) -> tuple[Dataset, Dataset]:
    """Split by time within each stretch: the last `share` of its windows' time becomes the second part.

    A window with readings on both sides of the cut is in neither part.
    """
    first = np.zeros(len(data), dtype=bool)
    second = np.zeros(len(data), dtype=bool)
    for stretch in np.unique(data.stretches):
        rows = np.flatnonzero(data.stretches == stretch)
        ends = data.ts[rows, -1]
        cut = ends[min(round(len(rows) * (1 - share)), len(rows) - 1)] if share else np.inf
        first[rows] = ends < cut
        second[rows] = data.ts[rows, 0] >= cut
    return data[first], data[second]


def _kind(frame: pd.DataFrame) -> NDArray[np.str_]:
    if "kind" not in frame.columns:
        return np.full(len(frame), "", dtype=str)
    return frame["kind"].fillna("").to_numpy(dtype=str)
