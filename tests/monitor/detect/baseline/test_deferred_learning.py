"""Full blocks may be learnt later, and many at once, without changing any baseline."""

import numpy as np
import pytest

from monitor.core.arrays import FloatArray
from monitor.detect.baseline import BaselineSpec, BaselineStage
from tests.monitor.detect.baseline.event_times import window_ts

NAMES = ["t_1", "t_2"]
# Windows 1, 4 and 7 make up the first block.
WINDOWS_TO_FILL_BLOCK = 7


def _stage() -> BaselineStage:
    return BaselineStage(["t", "t"], BaselineSpec(floors=(0.1, 0.1)))


def _windows(groups: int, count: int) -> FloatArray:
    """Return windows of random walks: (batch, group, step, feature)."""
    values = np.random.default_rng(3).normal(20, 0.2, (count + 2, groups, len(NAMES))).cumsum(axis=0) / 50
    return np.lib.stride_tricks.sliding_window_view(values, 3, axis=0).swapaxes(2, 3)


@pytest.mark.parametrize("groups", [31, 32])
def test_full_blocks_are_learnt_in_batches(groups: int) -> None:
    """`learn_pending` learns 32 full blocks; fewer are left for the next batch."""
    eager, lazy = _stage(), _stage()
    names = [f"g{number}" for number in range(groups)]
    for number, windows in enumerate(_windows(groups, WINDOWS_TO_FILL_BLOCK)):
        ts = np.repeat(window_ts(1, first=number), groups, axis=0)
        eager.push(names, windows, ts)
        lazy.push(names, windows, ts)
    eager.learn_pending()
    assert (eager.dump("g5") != lazy.dump("g5")) == (groups == 32)


def test_deferred_learning_gives_the_same_baselines() -> None:
    """Blocks learnt by `learn_pending` give the same baselines as blocks learnt with the next window."""
    eager, lazy = _stage(), _stage()
    names = [f"g{number}" for number in range(40)]
    for number, windows in enumerate(_windows(40, 200)):
        ts = np.repeat(window_ts(1, first=number), 40, axis=0)
        eager_result, lazy_result = eager.push(names, windows, ts), lazy.push(names, windows, ts)
        eager.learn_pending()
        np.testing.assert_array_equal(eager_result[1], lazy_result[1])
        np.testing.assert_array_equal(eager_result[0], lazy_result[0])


def test_full_block_moves_with_its_group() -> None:
    """A block that is full and not learnt when its group moves is learnt by the other stage."""
    windows = _windows(1, 3 * WINDOWS_TO_FILL_BLOCK)
    for cut in range(1, len(windows)):
        original, copy = _stage(), _stage()
        for number in range(cut):
            original.push(["g"], windows[number], window_ts(1, first=number))
        copy.load("g", original.dump("g"))
        for number in range(cut, len(windows)):
            ts = window_ts(1, first=number)
            np.testing.assert_array_equal(
                original.push(["g"], windows[number], ts)[0], copy.push(["g"], windows[number], ts)[0]
            )
        assert original.dump("g") == copy.dump("g")


@pytest.mark.parametrize("method", ["forget", "load"])
def test_pending_block_of_a_replaced_group(method: str) -> None:
    """If a group is removed or loaded again, its pending block does not change the new state of its row."""
    stage, reference = _stage(), _stage()
    for number, windows in enumerate(_windows(2, WINDOWS_TO_FILL_BLOCK)):
        stage.push(["g", "h"], windows, np.repeat(window_ts(1, first=number), 2, axis=0))
        reference.push(["h"], windows[1:], window_ts(1, first=number))
    new_state = _stage().dump("new")
    if method == "forget":
        stage.forget("g")
        stage.load("new", new_state)  # takes the row of g
        assert stage.dump("new") == new_state
    else:
        stage.load("g", new_state)
    next_windows = _windows(2, 1)[0, 1:]
    ts = window_ts(1, first=WINDOWS_TO_FILL_BLOCK)
    np.testing.assert_array_equal(
        stage.push(["h"], next_windows, ts)[0], reference.push(["h"], next_windows, ts)[0]
    )
    assert stage.dump("g") == new_state
