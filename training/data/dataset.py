"""Cuts recordings into labelled windows, and splits the windows into training, validation and test set."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.errors import InvalidInputError
from monitor.core.readings import Readings
from monitor.core.rules import WindowRules
from monitor.detect.windows import WindowStage
from training.data.recordings import FAULTY_LABEL

__all__ = ["Dataset", "build", "compute_sample_period", "concat", "hold_out", "split"]

_VALIDATION_BLOCKS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Labelled windows."""

    series_ids: NDArray[np.intp]
    """The series of each window, numbered from 0: (window,). A series is one group of one recording."""
    ts: FloatArray
    """Event times, oldest first, seconds: (window, step)."""
    windows: FloatArray
    """Model input before scaling, raw or relative to the group's baseline: (window, step, feature)."""
    faulty: NDArray[np.bool_]
    """The label of each window: True if any of its readings is Faulty: (window,)."""
    kinds: NDArray[np.str_]
    """The fault kind of the last reading of each window; "" if this reading is healthy: (window,)."""
    raw_windows: FloatArray
    """Raw values: (window, step, feature)."""
    baselines: FloatArray
    """The baseline of each window, as the stage in `monitor.detect.baseline` returns it: (window, 3,
    feature)."""

    @classmethod
    def from_windows(
        cls,
        series_ids: NDArray[np.intp],
        ts: FloatArray,
        windows: FloatArray,
        faulty: NDArray[np.bool_],
        kinds: NDArray[np.str_],
    ) -> "Dataset":
        """Create a dataset of raw windows with a neutral baseline (level 0, unit 1)."""
        baselines = np.zeros((len(windows), 3, windows.shape[2]))
        baselines[:, 1] = 1
        return cls(series_ids, ts, windows, faulty, kinds, windows, baselines)

    def __len__(self) -> int:
        return len(self.faulty)

    def __getitem__(self, index: NDArray[np.bool_] | NDArray[np.intp] | slice) -> "Dataset":
        return Dataset(*(getattr(self, field.name)[index] for field in fields(self)))


def compute_sample_period(frames: Sequence[pd.DataFrame]) -> float:
    """Return the median time between consecutive readings of a group, in seconds.

    NaN if no group has two readings with different times.
    """
    steps = pd.concat([frame.groupby("group")["ts"].diff() for frame in frames])
    return float(steps[steps > 0].median())


def build(frames: Sequence[pd.DataFrame], names: Sequence[str], *, steps: int, max_gap: float) -> Dataset:
    """Cut recordings into windows with the window stage of the monitor.

    Parameters
    ----------
    frames : recordings with a column `label` and a finite number in every feature; the column `kind` is
        optional.
    names : names of the features, in order.
    steps : number of readings in a window.
    max_gap : maximum time between two consecutive readings of a window, in seconds.

    Raises
    ------
    InvalidInputError : a group has no window.
    """
    stage = WindowStage(steps, len(names) + 2, WindowRules(max_gap))
    kind_names = sorted({name for frame in frames for name in _get_kind_column(frame)})
    values_by_frame = []
    ts_by_frame = []
    series_names: list[str] = []
    for number, frame in enumerate(frames):
        # Label and fault kind pass through the stage as two additional features, so that each window gets
        # the labels and fault kinds of its readings.
        kind_codes = np.searchsorted(kind_names, _get_kind_column(frame))
        values = np.column_stack(
            [frame[list(names)], frame["label"] == FAULTY_LABEL, kind_codes]
        )  # (reading, feature + 2)
        groups = [f"{number}/{group}" for group in frame["group"]]
        no_arrival_time = np.full(len(frame), np.inf)
        redelivered = np.zeros(len(frame), dtype=np.bool_)
        windows = stage.push(
            Readings(groups, frame["ts"].to_numpy(), values, no_arrival_time, no_arrival_time, redelivered)
        )
        _check_groups(groups, windows.reading_indices, steps, max_gap)
        values_by_frame.append(windows.values)
        ts_by_frame.append(windows.ts)
        series_names += [groups[row] for row in windows.reading_indices]
    values = np.concatenate(values_by_frame)  # (window, step, feature + 2)
    return Dataset.from_windows(
        series_ids=np.unique(series_names, return_inverse=True)[1],
        ts=np.concatenate(ts_by_frame),
        windows=np.ascontiguousarray(values[:, :, :-2]),
        faulty=np.any(values[:, :, -2] > 0, axis=1),
        kinds=np.array(kind_names, dtype=str)[values[:, -1, -1].astype(int)],
    )


def concat(datasets: Sequence[Dataset]) -> Dataset:
    """Concatenate datasets, and renumber their series so that the numbers are unique."""
    counts = [int(dataset.series_ids.max(initial=-1)) + 1 for dataset in datasets]
    series_ids = [dataset.series_ids + sum(counts[:number]) for number, dataset in enumerate(datasets)]
    rest = [
        np.concatenate([getattr(dataset, field.name) for dataset in datasets])
        for field in fields(Dataset)
        if field.name != "series_ids"
    ]
    return Dataset(np.concatenate(series_ids), *rest)


def split(
    data: Dataset, share: float, method: Literal["time", "random"] = "time", seed: int = 0
) -> tuple[Dataset, Dataset]:
    """Split the test set off; return the remaining windows and the test set.

    Parameters
    ----------
    share : share of the windows in the test set; 0 for an empty test set.
    method : `time`: the test set is the end of each series; a window with readings on both sides of the cut
        is in neither set. `random`: `sklearn.model_selection.train_test_split` draws the test set; most of
        its windows share readings with the remaining windows.
    seed : seed of the random split.
    """
    if share == 0:
        return data, data[:0]
    is_train, is_test = (
        _split_by_time(data, share) if method == "time" else _split_at_random(data, share, seed)
    )
    return data[is_train], data[is_test]


def hold_out(
    data: Dataset, share: float, method: Literal["time", "random"] = "time", seed: int = 0
) -> tuple[Dataset, Dataset]:
    """Split the validation set off; return the training set and the validation set.

    Parameters
    ----------
    share : share of the windows in the validation set.
    method : `time`: the validation set is five blocks, spread evenly over each series; a window with readings
        inside and outside of a block is in neither set. The validation set is not the end of the series,
        because conditions change over a day, and a network that was not trained on the latest readings
        predicts Faulty for all readings after them. `random`: the validation set is drawn as in `split`.
    seed : seed of the random split.
    """
    is_train, is_validation = (
        _split_by_blocks(data, share) if method == "time" else _split_at_random(data, share, seed)
    )
    return data[is_train], data[is_validation]


def _split_by_blocks(data: Dataset, share: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    is_train = np.zeros(len(data), dtype=bool)
    is_validation = np.zeros(len(data), dtype=bool)
    for series_id in np.unique(data.series_ids):
        rows = np.flatnonzero(data.series_ids == series_id)
        block_position = (
            np.arange(len(rows)) * _VALIDATION_BLOCKS / len(rows) % 1
        )  # position of each window within its fifth of the series, from 0 to 1
        in_block = np.abs(block_position - 0.5) < share / 2
        is_validation[rows] = in_block
        is_train[rows] = ~np.isin(data.ts[rows], data.ts[rows[in_block]]).any(axis=1)
    return is_train, is_validation


def _split_by_time(data: Dataset, share: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    is_train = np.zeros(len(data), dtype=bool)
    is_test = np.zeros(len(data), dtype=bool)
    for series_id in np.unique(data.series_ids):
        rows = np.flatnonzero(data.series_ids == series_id)
        ends = data.ts[rows, -1]
        cut = ends[min(round(len(rows) * (1 - share)), len(rows) - 1)]
        is_train[rows] = ends < cut
        is_test[rows] = data.ts[rows, 0] >= cut
    return is_train, is_test


def _split_at_random(data: Dataset, share: float, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    from sklearn.model_selection import train_test_split  # noqa: PLC0415 - most commands split nothing

    is_held_out = np.zeros(len(data), dtype=bool)
    if len(data) > 1:
        is_held_out[train_test_split(np.arange(len(data)), test_size=share, random_state=seed)[1]] = True
    return ~is_held_out, is_held_out


def _check_groups(groups: Sequence[str], rows: NDArray[np.intp], steps: int, max_gap: float) -> None:
    without_window = set(groups) - {groups[row] for row in rows}
    if without_window:
        name = min(without_window).partition("/")[2]
        raise InvalidInputError(
            f"group {name}: no {steps} readings follow each other within {max_gap:g} s, so it has no window; "
            "expected some, or no such group"
        )


def _get_kind_column(frame: pd.DataFrame) -> NDArray[np.str_]:
    if "kind" not in frame.columns:
        return np.full(len(frame), "", dtype=str)
    return frame["kind"].fillna("").to_numpy(dtype=str)
