"""Baselines stay the same to the bit, so that optimizations can't change them unnoticed."""

import hashlib

import numpy as np
import pytest

from monitor.bundle.model_input import DeviationTransform
from monitor.core.arrays import FloatArray
from monitor.core.quantities import quantity_name
from monitor.detect.baseline import BASELINE_VERSION, BaselineSpec, BaselineStage
from tests.monitor.detect.baseline.event_times import window_ts

GROUPS = 12
BATCHES = 600
STEPS = 3
# Digests for the rules of this version. Whoever changes the rules raises the version and updates the digests.
EXPECTED_VERSION = 3
DIGEST_BY_LAYOUT = {
    "t_1 h_1 t_2 h_2": "44181e6bbdafa07f",
    "t_1 t_2 h_1 h_2": "217441dab175ac21",
    "t_1 t_2 t_3": "97be5462abba0866",
    "p": "73ee2ff7b82fe55c",
    "v_1 p t_1 v_2 h_2 t_2 h_1 v_3": "862bf6b41ea1b8e1",
    "t_1 t_2 t_3 t_4 p_2 p_1": "f7fbee1e65aee8b5",
}


def _plant_windows(features: int) -> FloatArray:
    """Return windows of independent groups: (batch, group, step, feature).

    They have noise of several sizes, jumps of the plant, temporary faults, coarse resolutions in groups 8 and
    9, and constant values in group 10. All values are multiples of 1/64, so that no arithmetic rounds them.
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
    windows = np.lib.stride_tricks.sliding_window_view(values / 64, 3, axis=0)
    return np.ascontiguousarray(windows.transpose(0, 1, 3, 2))


@pytest.mark.parametrize("layout", DIGEST_BY_LAYOUT)
def test_baselines_are_bit_identical(layout: str) -> None:
    """Baselines and deviations have the expected digest, for quantities of one, two and more sensors."""
    quantities = list(map(quantity_name, layout.split()))
    floors = tuple(0.1 + 0.2 * (number % 3) for number in range(len(quantities)))
    stage = BaselineStage(quantities, BaselineSpec(floors=floors))
    groups = [f"g{number}" for number in range(GROUPS)]
    windows = _plant_windows(len(quantities))
    # Every third group is slow.
    ts = np.stack([window_ts(BATCHES, 600 if group % 3 == 0 else 5) for group in range(GROUPS)], axis=1)
    digest = hashlib.sha256()

    def push(batch_groups: list[str], batch_windows: FloatArray, batch_ts: FloatArray) -> None:
        baselines, ready = stage.push(batch_groups, batch_windows, batch_ts)
        deviations = DeviationTransform(quantities).transform(batch_windows[ready], baselines[ready])
        for part in (ready, baselines[ready] + 0.0, deviations + 0.0):  # adding 0 turns -0 into 0
            digest.update(part.tobytes())

    # One window of each group. The groups start one after the other, so their blocks end at different times.
    for number in range(400):
        group_count = 1 + number // 20
        push(groups[:group_count], windows[number, :group_count], ts[number, :group_count])
    for number in range(400, BATCHES, 20):  # 20 windows of each group at once
        batch = slice(number, number + 20)
        push(groups * 20, windows[batch].reshape(-1, *windows.shape[2:]), ts[batch].reshape(-1, STEPS))
    assert BASELINE_VERSION == EXPECTED_VERSION
    assert digest.hexdigest()[:16] == DIGEST_BY_LAYOUT[layout]
