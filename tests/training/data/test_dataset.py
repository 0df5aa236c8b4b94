from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from monitor.core.errors import InvalidInputError
from tests.support.training_features import FEATURE_NAMES
from training.data import dataset


def _recording(ts: Sequence[float], group: str = "g", faulty: Sequence[int] = ()) -> pd.DataFrame:
    frame = pd.DataFrame(dict.fromkeys(FEATURE_NAMES, ts), dtype=float).assign(ts=ts, group=group)
    label = [-1 if row in faulty else 1 for row in range(len(ts))]
    return frame.assign(label=label, kind=["spike" if value < 0 else "" for value in label])


def test_a_window_is_faulty_when_any_reading_is() -> None:
    """A window is Faulty if any of its readings is, and its kind is that of the last reading."""
    data = dataset.build([_recording(range(7), faulty=[3])], FEATURE_NAMES, steps=3, max_gap=3)
    assert data.faulty.tolist() == [False, True, True, True, False]
    assert data.kinds.tolist() == ["", "spike", "", "", ""]


def test_labels_stay_with_their_readings() -> None:
    """Each window has its own label and kind, also after late and duplicate readings and gaps."""
    ts = [0, 1, 2, 2, 1, 3, 20, 21, 22]
    data = dataset.build([_recording(ts, faulty=[3, 4, 5])], FEATURE_NAMES, steps=3, max_gap=3)
    assert data.ts.tolist() == [[0, 1, 2], [1, 2, 3], [20, 21, 22]]
    assert data.kinds.tolist() == ["", "spike", ""]
    assert (data.windows == data.ts[:, :, None]).all()


def test_groups_and_recordings_do_not_mix() -> None:
    """No window spans two groups or two recordings."""
    frames = [pd.concat([_recording(range(3)), _recording(range(1, 4), "h")]), _recording(range(3, 6))]
    data = dataset.build(frames, FEATURE_NAMES, steps=3, max_gap=3)
    assert sorted(data.ts[:, 0].tolist()) == [0, 1, 3]
    assert len(np.unique(data.series_ids)) == 3


def test_no_reading_is_on_both_sides_of_the_split() -> None:
    """The test set is the last section of each group, and windows across the cut are in neither set."""
    frames = [_recording(range(100)), _recording(range(1000, 1050), "h")]
    first, second = dataset.split(dataset.build(frames, FEATURE_NAMES, steps=3, max_gap=3), 0.2)
    assert not set(first.ts.ravel()) & set(second.ts.ravel())
    assert len(first) + len(second) == 98 + 48 - 2 * 2
    for begin, count in ((0, 100), (1000, 50)):
        inside = (second.ts[:, 0] >= begin) & (second.ts[:, 0] < begin + count)
        assert second.ts[inside].min() == pytest.approx(begin + 0.8 * count, abs=1)


def test_share_0_keeps_all_for_training() -> None:
    """With a test share of 0 all windows are for training."""
    first, second = dataset.split(
        dataset.build([_recording(range(10))], FEATURE_NAMES, steps=3, max_gap=3), 0
    )
    assert (len(first), len(second)) == (8, 0)


def test_validation_blocks_share_no_reading_with_the_rest() -> None:
    """The validation set is within each group's time, and the latest readings are in the training set."""
    frames = [_recording(range(400)), _recording(range(1000, 1200), "h")]
    data = dataset.build(frames, FEATURE_NAMES, steps=3, max_gap=3)
    first, second = dataset.hold_out(data, 0.1)
    assert not set(first.ts.ravel()) & set(second.ts.ravel())
    assert len(second) == pytest.approx(0.1 * len(data), rel=0.1)
    for begin, end in ((0, 399), (1000, 1199)):
        group_ts = second.ts[(second.ts[:, 0] >= begin) & (second.ts[:, 0] <= end)]
        assert (np.diff(group_ts[:, 0]) > 1).sum() == 4
        assert {begin, end} <= set(first.ts.ravel())


def test_a_random_split_is_the_notebooks() -> None:
    """The random split is that of `train_test_split` with the same seed, and both sets share readings."""
    data = dataset.build([_recording(range(102))], FEATURE_NAMES, steps=3, max_gap=3)
    expected = train_test_split(np.arange(100), test_size=0.2, random_state=42)[1]
    for split in (dataset.split, dataset.hold_out):
        first, second = split(data, 0.2, "random", 42)
        assert second.ts[:, 0].tolist() == sorted(expected)
        assert len(first) == 80
        assert set(first.ts.ravel()) & set(second.ts.ravel())


def test_joined_data_keep_their_series_apart() -> None:
    """Groups of the same name from two files remain two series."""
    both = pd.concat([_recording(range(5)), _recording(range(5), "h")])
    data = dataset.concat(
        [
            dataset.build([both], FEATURE_NAMES, steps=3, max_gap=3),
            dataset.build([_recording(range(9))], FEATURE_NAMES, steps=3, max_gap=3),
        ]
    )
    assert np.bincount(data.series_ids).tolist() == [3, 3, 7]
    assert len(dataset.concat([data[:0], data])) == 13


def test_a_group_without_a_window_is_refused() -> None:
    """A group whose readings are too far apart or too few for a window is refused by name."""
    for ts in ([0, 100, 200, 300], [1, 2]):
        frame = pd.concat([_recording(range(9)), _recording(ts, "far")])
        with pytest.raises(InvalidInputError, match="group far: no 3 readings follow each other within 3 s"):
            dataset.build([frame], FEATURE_NAMES, steps=3, max_gap=3)


def test_the_sample_period_is_the_usual_step() -> None:
    """The sample period is the median step: a gap and a duplicate reading don't change it."""
    assert dataset.compute_sample_period([_recording([0, 5, 10, 10, 15, 900])]) == 5
