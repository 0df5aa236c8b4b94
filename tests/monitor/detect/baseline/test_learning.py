"""What is learnt of a group's normal is the same to the bit, whatever is done for speed."""

import hashlib

import numpy as np
import pytest

from monitor.bundle.model_input import DeviationTransform
from monitor.core.arrays import FloatArray
from monitor.detect.baseline import BASELINE_VERSION, BaselineSpec, BaselineStage

GROUPS = 12
BATCHES = 600
# Of the rules of this version: whoever changes them raises it, and finds new ones.
EXPECTED_VERSION = 2
EXPECTED = {
    "t_1 h_1 t_2 h_2": "4085d0fbb3ab381f",
    "t_1 t_2 h_1 h_2": "471215047368af11",
    "t_1 t_2 t_3": "c007e493d00f9b0f",
    "p": "3e6188d3edee5995",
    "v_1 p t_1 v_2 h_2 t_2 h_1 v_3": "7a505aae6b17edfc",
    "t_1 t_2 t_3 t_4 p_2 p_1": "490c8301985e21c4",
}


def _plant_windows(features: int) -> FloatArray:
    """Return the windows of groups that each go their own way (batch, group, step, feature).

    Noise of several sizes, a plant that jumps, faults that come and go, coarse steps, and one that stands
    still: all in multiples of 1/64, which no machine rounds.
    """
    rng = np.random.default_rng(7)
    shape = (BATCHES + 2, GROUPS, features)
    jumps = rng.integers(-256, 257, (*shape[:2], 1)) * (rng.random((*shape[:2], 1)) < 0.02)
    values = rng.integers(-8, 9, shape) * (1 + np.arange(GROUPS)[:, None] % 4)
    values += rng.integers(0, 640, shape[1:]) + jumps.cumsum(axis=0)
    for group in range(1, GROUPS):
        for begin in rng.integers(0, BATCHES, 6).tolist():
            values[begin : begin + 8 * group, group, rng.integers(features)] += rng.integers(-512, 513)
    values[:, 8] = values[:, 8] // 32 * 32
    values[:, 9] = values[:, 9] // 64 * 64
    values[:, 10] = values[0, 10]
    cut = np.lib.stride_tricks.sliding_window_view(values / 64, 3, axis=0)
    return np.ascontiguousarray(cut.transpose(0, 1, 3, 2))


@pytest.mark.parametrize("layout", EXPECTED)
def test_baselines_are_bit_identical(layout: str) -> None:
    """Groups of sensors in pairs, in threes and more, and alone have the normals that they always had."""
    names = layout.split()
    floors = tuple(0.1 + 0.2 * (number % 3) for number in range(len(names)))
    stage = BaselineStage(names, BaselineSpec(floors=floors))
    groups = [f"g{number}" for number in range(GROUPS)]
    windows = _plant_windows(len(names))
    digest = hashlib.sha256()

    def push(some: list[str], of_them: FloatArray) -> None:
        normals, ready = stage.push(some, of_them)
        shown = DeviationTransform(names).transform(of_them[ready], normals[ready])
        for part in (ready, normals[ready] + 0.0, shown + 0.0):  # which makes -0 a 0
            digest.update(part.tobytes())

    for number in range(400):
        group_count = (
            1 + number // 20
        )  # at most: they come one after the other, so blocks end now here, now there
        push(groups[:group_count], windows[number, :group_count])
    for number in range(400, BATCHES, 20):  # and many of each at once
        push(groups * 20, windows[number : number + 20].reshape(-1, *windows.shape[2:]))
    assert BASELINE_VERSION == EXPECTED_VERSION
    assert digest.hexdigest()[:16] == EXPECTED[layout]
