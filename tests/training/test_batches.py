import numpy as np
import pytest

from training.batches import Batches
from training.moves import Moves, pairs
from training.recordings import NAMES

SCALE = np.array([2.0, 10.0, 4.0, 5.0])


def build(shift: float = 1.0, seed: int = 0) -> Batches:
    """Cut 100 windows, each of a value of its own, into batches of 32."""
    scaled = np.repeat(np.arange(100, dtype=np.float32), 12).reshape(100, 3, 4)
    moves = Moves(shift, SCALE)
    return Batches(scaled, np.arange(100) % 3 == 0, np.ones(100), moves=moves, size=32, seed=seed)


def epoch(batches: Batches) -> tuple[np.ndarray, np.ndarray]:
    """Return one epoch's windows and truth, joined."""
    parts = [batches[number] for number in range(len(batches))]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def test_pairs_are_of_one_quantity() -> None:
    """Temperatures are one pair and humidities the other."""
    by_name = dict(zip(NAMES, pairs().tolist(), strict=True))
    assert by_name["temperature_1"] == by_name["temperature_2"] != by_name["humidity_1"]
    assert by_name["humidity_1"] == by_name["humidity_2"]


def test_pair_moves_together() -> None:
    """In its own unit, a move is the same for both sensors of a pair and for all readings of a window."""
    windows, _ = epoch(build(shift=3.0))
    start = np.round(epoch(build(shift=0.0))[0][:, :1, :1])
    moves = (windows - start) * SCALE  # (window, step, feature), in the feature's unit
    assert moves[:, :, 0] == pytest.approx(moves[:, :, 2], abs=1e-3)
    assert moves[:, :, 1] == pytest.approx(moves[:, :, 3], abs=1e-3)
    assert moves[:, 0] == pytest.approx(moves[:, 2], abs=1e-3)
    assert moves[:, 0, 0].std() > 3
    assert abs(np.corrcoef(moves[:, 0, 0], moves[:, 0, 1])[0, 1]) < 0.3


def test_without_shift_nothing_moves() -> None:
    """With shift 0, an epoch is every window once, with its truth, in another order than the last epoch."""
    batches = build(shift=0.0)
    first, truth = epoch(batches)
    assert sorted(first[:, 0, 0].tolist()) == list(range(100))
    assert (truth == (first[:, 0, 0] % 3 == 0)).all()
    batches.on_epoch_end()
    assert epoch(batches)[0][:, 0, 0].tolist() != first[:, 0, 0].tolist()


def test_seed_decides() -> None:
    """The same seed gives the same batches, another seed others."""
    assert (epoch(build(seed=1))[0] == epoch(build(seed=1))[0]).all()
    assert (epoch(build(seed=1))[0] != epoch(build(seed=2))[0]).any()
