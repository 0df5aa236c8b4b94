"""Full blocks may be learnt late, and many at once: no normal is another for it."""

import numpy as np
import pytest

from monitor.core.arrays import FloatArray
from monitor.detect.baseline import Baseline, BaselineStage

NAMES = ["t_1", "t_2"]
# The windows of a block: every third window is taken, and the third one taken fills it.
BLOCK = 7


def _stage() -> BaselineStage:
    return BaselineStage(NAMES, Baseline(floors=(0.1, 0.1)))


def _windows(groups: int, count: int) -> FloatArray:
    """Return noise around levels that move: (batch, group, step, feature)."""
    values = np.random.default_rng(3).normal(20, 0.2, (count + 2, groups, len(NAMES))).cumsum(axis=0) / 50
    return np.lib.stride_tricks.sliding_window_view(values, 3, axis=0).swapaxes(2, 3)


@pytest.mark.parametrize("groups", [31, 32])
def test_many_are_learnt_at_leisure(groups: int) -> None:
    """Once there are many full blocks they are learnt between two batches; fewer wait for the next."""
    ahead, behind = _stage(), _stage()
    names = [f"g{number}" for number in range(groups)]
    for windows in _windows(groups, BLOCK):
        ahead.push(names, windows)
        behind.push(names, windows)
    ahead.catch_up()
    assert (ahead.dump("g5") != behind.dump("g5")) == (groups == 32)


def test_same_as_at_once() -> None:
    """Groups whose blocks are learnt at leisure have the normals of those whose blocks wait."""
    ahead, behind = _stage(), _stage()
    names = [f"g{number}" for number in range(40)]
    for windows in _windows(40, 200):
        ours, theirs = ahead.push(names, windows), behind.push(names, windows)
        ahead.catch_up()
        np.testing.assert_array_equal(ours[1], theirs[1])
        np.testing.assert_array_equal(ours[0], theirs[0])


def test_in_groups_that_moved() -> None:
    """A block that is full when its group moves is learnt where it went."""
    windows = _windows(1, 3 * BLOCK)
    for moment in range(1, len(windows)):
        here, there = _stage(), _stage()
        for window in windows[:moment]:
            here.push(["g"], window)
        there.load("g", here.dump("g"))
        for window in windows[moment:]:
            ours, theirs = here.push(["g"], window), there.push(["g"], window)
            np.testing.assert_array_equal(ours[0], theirs[0])
        assert here.dump("g") == there.dump("g")


@pytest.mark.parametrize("way", ["forget", "load"])
def test_another_in_its_place(way: str) -> None:
    """What a group had to learn that was dropped, or was given another's state, nobody learns."""
    stage, alone = _stage(), _stage()
    for windows in _windows(2, BLOCK):
        stage.push(["g", "h"], windows)
        alone.push(["h"], windows[1:])
    fresh = _stage().dump("new")
    if way == "forget":
        stage.forget("g")
        stage.load("new", fresh)  # in its row
        assert stage.dump("new") == fresh
    else:
        stage.load("g", fresh)
    next_one = _windows(2, 1)[0, 1:]
    np.testing.assert_array_equal(stage.push(["h"], next_one)[0], alone.push(["h"], next_one)[0])
    assert stage.dump("g") == fresh
