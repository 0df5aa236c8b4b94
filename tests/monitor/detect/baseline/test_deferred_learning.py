"""Full blocks may be learnt late, and many at once: no normal is another for it."""

import numpy as np
import pytest

from monitor.core.arrays import FloatArray
from monitor.detect.baseline import BaselineSpec, BaselineStage

NAMES = ["t_1", "t_2"]
# The windows of a block: every third window is taken, and the third one taken fills it.
WINDOWS_TO_FILL_BLOCK = 7


def _stage() -> BaselineStage:
    return BaselineStage(NAMES, BaselineSpec(floors=(0.1, 0.1)))


def _windows(groups: int, count: int) -> FloatArray:
    """Return noise around levels that move: (batch, group, step, feature)."""
    values = np.random.default_rng(3).normal(20, 0.2, (count + 2, groups, len(NAMES))).cumsum(axis=0) / 50
    return np.lib.stride_tricks.sliding_window_view(values, 3, axis=0).swapaxes(2, 3)


@pytest.mark.parametrize("groups", [31, 32])
def test_full_blocks_are_learnt_in_batches(groups: int) -> None:
    """Once there are many full blocks they are learnt between two batches; fewer wait for the next."""
    eager, lazy = _stage(), _stage()
    names = [f"g{number}" for number in range(groups)]
    for windows in _windows(groups, WINDOWS_TO_FILL_BLOCK):
        eager.push(names, windows)
        lazy.push(names, windows)
    eager.learn_pending()
    assert (eager.dump("g5") != lazy.dump("g5")) == (groups == 32)


def test_deferred_learning_gives_the_same_baselines() -> None:
    """Groups whose blocks are learnt at leisure have the normals of those whose blocks wait."""
    eager, lazy = _stage(), _stage()
    names = [f"g{number}" for number in range(40)]
    for windows in _windows(40, 200):
        ours, theirs = eager.push(names, windows), lazy.push(names, windows)
        eager.learn_pending()
        np.testing.assert_array_equal(ours[1], theirs[1])
        np.testing.assert_array_equal(ours[0], theirs[0])


def test_full_block_moves_with_its_group() -> None:
    """A block that is full when its group moves is learnt where it went."""
    windows = _windows(1, 3 * WINDOWS_TO_FILL_BLOCK)
    for moment in range(1, len(windows)):
        here, there = _stage(), _stage()
        for window in windows[:moment]:
            here.push(["g"], window)
        there.load("g", here.dump("g"))
        for window in windows[moment:]:
            ours, theirs = here.push(["g"], window), there.push(["g"], window)
            np.testing.assert_array_equal(ours[0], theirs[0])
        assert here.dump("g") == there.dump("g")


@pytest.mark.parametrize("method", ["forget", "load"])
def test_pending_block_of_a_replaced_group(method: str) -> None:
    """What a group had to learn that was dropped, or was given another's state, nobody learns."""
    stage, alone = _stage(), _stage()
    for windows in _windows(2, WINDOWS_TO_FILL_BLOCK):
        stage.push(["g", "h"], windows)
        alone.push(["h"], windows[1:])
    fresh = _stage().dump("new")
    if method == "forget":
        stage.forget("g")
        stage.load("new", fresh)  # in its row
        assert stage.dump("new") == fresh
    else:
        stage.load("g", fresh)
    next_windows = _windows(2, 1)[0, 1:]
    np.testing.assert_array_equal(stage.push(["h"], next_windows)[0], alone.push(["h"], next_windows)[0])
    assert stage.dump("g") == fresh
