from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from training import dataset
from training.recordings import NAMES


def _recording(ts: Sequence[float], group: str = "g", faulty: Sequence[int] = ()) -> pd.DataFrame:
    frame = pd.DataFrame(dict.fromkeys(NAMES, ts), dtype=float).assign(ts=ts, group=group)
    label = [-1 if row in faulty else 1 for row in range(len(ts))]
    return frame.assign(label=label, kind=["spike" if one < 0 else "" for one in label])


def test_a_window_is_faulty_when_any_reading_is() -> None:
    """The truth counts every reading of a window, its kind only the last."""
    data = dataset.build([_recording(range(7), faulty=[3])], max_gap=3)
    assert data.faulty.tolist() == [False, True, True, True, False]
    assert data.kinds.tolist() == ["", "spike", "", "", ""]


def test_labels_stay_with_their_readings() -> None:
    """Late readings, repeated ones and gaps leave each window its own label and kind."""
    ts = [0, 1, 2, 2, 1, 3, 20, 21, 22]
    data = dataset.build([_recording(ts, faulty=[3, 4, 5])], max_gap=3)
    assert data.ts.tolist() == [[0, 1, 2], [1, 2, 3], [20, 21, 22]]
    assert data.kinds.tolist() == ["", "spike", ""]
    assert (data.windows == data.ts[:, :, None]).all()


def test_groups_and_recordings_do_not_mix() -> None:
    """No window spans two groups or two recordings."""
    frames = [pd.concat([_recording(range(3)), _recording(range(1, 4), "h")]), _recording(range(3, 6))]
    data = dataset.build(frames, max_gap=3)
    assert sorted(data.ts[:, 0].tolist()) == [0, 1, 3]
    assert len(np.unique(data.stretches)) == 3


def test_no_reading_is_on_both_sides_of_the_split() -> None:
    """In each group the test part is the last of its time, and windows across the cut are in neither."""
    frames = [_recording(range(100)), _recording(range(1000, 1050), "h")]
    first, second = dataset.split(dataset.build(frames, max_gap=3), 0.2)
    assert not set(first.ts.ravel()) & set(second.ts.ravel())
    assert len(first) + len(second) == 98 + 48 - 2 * 2
    for begin, count in ((0, 100), (1000, 50)):
        inside = (second.ts[:, 0] >= begin) & (second.ts[:, 0] < begin + count)
        assert second.ts[inside].min() == pytest.approx(begin + 0.8 * count, abs=1)


def test_share_0_keeps_all_for_training() -> None:
    """Without a test share nothing is left out."""
    first, second = dataset.split(dataset.build([_recording(range(10))], max_gap=3), 0)
    assert (len(first), len(second)) == (8, 0)


def test_the_sample_period_is_the_usual_step() -> None:
    """A gap and a repeated reading don't change it."""
    assert dataset.sample_period([_recording([0, 5, 10, 10, 15, 900])]) == 5
