import numpy as np
import pytest

from monitor.core.quantities import quantity_numbers
from tests.support import requires_tensorflow  # noqa: F401 - skips this module without it
from tests.support.training_features import FEATURE_NAMES, QUANTITIES
from training.network.augmentation import JointShift, SwapAndScale
from training.network.batches import Batches

SCALE = np.array([2.0, 10.0, 4.0, 5.0])


def _build_batches(shift: float = 1.0, seed: int = 0) -> Batches:
    """Return batches of 32 of 100 windows; all values of a window are its number."""
    scaled = np.repeat(np.arange(100, dtype=np.float32), 12).reshape(100, 3, 4)
    return Batches(
        scaled,
        np.arange(100) % 3 == 0,
        np.ones(100),
        augmentation=JointShift(QUANTITIES, shift, SCALE),
        batch_size=32,
        seed=seed,
    )


def _run_epoch(batches: Batches) -> tuple[np.ndarray, np.ndarray]:
    """Return windows and true labels of all batches of an epoch."""
    parts = [batches[number] for number in range(len(batches))]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def test_pairs_are_of_one_quantity() -> None:
    """The temperatures are one pair, the humidities the other."""
    by_name = dict(zip(FEATURE_NAMES, quantity_numbers(QUANTITIES).tolist(), strict=True))
    assert by_name["temperature_1"] == by_name["temperature_2"] != by_name["humidity_1"]
    assert by_name["humidity_1"] == by_name["humidity_2"]


def test_both_sensors_of_a_pair_get_the_same_shift() -> None:
    """In the unit of the feature, a shift is the same for both sensors of a pair and for all its readings."""
    windows, _ = _run_epoch(_build_batches(shift=3.0))
    start = np.round(_run_epoch(_build_batches(shift=0.0))[0][:, :1, :1])
    shifts = (windows - start) * SCALE  # (window, step, feature), in the feature's unit
    assert shifts[:, :, 0] == pytest.approx(shifts[:, :, 2], abs=1e-3)
    assert shifts[:, :, 1] == pytest.approx(shifts[:, :, 3], abs=1e-3)
    assert shifts[:, 0] == pytest.approx(shifts[:, 2], abs=1e-3)
    assert shifts[:, 0, 0].std() > 3
    assert abs(np.corrcoef(shifts[:, 0, 0], shifts[:, 0, 1])[0, 1]) < 0.3


def test_without_shift_nothing_changes() -> None:
    """With shift 0, each epoch holds every window once, with its true label, in another order."""
    batches = _build_batches(shift=0.0)
    first, truth = _run_epoch(batches)
    assert sorted(first[:, 0, 0].tolist()) == list(range(100))
    assert (truth == (first[:, 0, 0] % 3 == 0)).all()
    batches.on_epoch_end()
    assert _run_epoch(batches)[0][:, 0, 0].tolist() != first[:, 0, 0].tolist()


def test_the_same_seed_gives_the_same_batches() -> None:
    """The same seed gives the same batches, another seed gives others."""
    assert (_run_epoch(_build_batches(seed=1))[0] == _run_epoch(_build_batches(seed=1))[0]).all()
    assert (_run_epoch(_build_batches(seed=1))[0] != _run_epoch(_build_batches(seed=2))[0]).any()


def _augment(windows: np.ndarray, *, faulty: bool, unit: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    return SwapAndScale(QUANTITIES, unit, 3.0, 3.8).augment(
        windows.astype(np.float32), np.full(len(windows), faulty), rng
    )


def test_sensors_are_swapped() -> None:
    """Pairs stay pairs, all readings of a window have the same order, and all eight orders occur."""
    windows = np.tile(np.array([1.0, 2.0, -1.0, -2.0]), (400, 3, 1)) * 1.5  # 3 units: not scaled
    varied = _augment(windows, faulty=False)
    assert (varied[:, :1] == varied).all()
    assert varied[:, 0, 0] == pytest.approx(-varied[:, 0, 2])
    assert varied[:, 0, 1] == pytest.approx(-varied[:, 0, 3])
    assert len(np.unique(varied[:, 0], axis=0)) == 8


@pytest.mark.parametrize("unit", [1.0, 0.25])
def test_normal_windows_are_scaled_up_and_faulty_ones_down(unit: float) -> None:
    """Normal windows are scaled up to at most 3 units, Faulty windows down to at least 3.8 units."""
    rng = np.random.default_rng(1)
    normal = (
        np.abs(_augment(rng.normal(0, 0.5, (2000, 3, 4)) * unit, faulty=False, unit=unit)).max(axis=(1, 2))
        / unit
    )
    faulty = (
        np.abs(_augment(rng.normal(0, 30, (2000, 3, 4)) * unit, faulty=True, unit=unit)).max(axis=(1, 2))
        / unit
    )
    assert 2.9 < normal.max() <= 3.001
    assert 3.799 <= faulty.min() < 4
    assert faulty.max() > 60


@pytest.mark.parametrize(
    ("quantities", "count"),
    [
        (["temperature"] * 3, 6),
        (["temperature", "humidity", "pressure"] * 2, 48),
        (["temperature", "pressure"], 2),
        (["temperature", "temperature", "pressure"], 2),  # quantities of 2 and 1 sensors aren't exchanged
        (list("abcdefghij") * 2, 1000),  # all of them would be 4e9
    ],
)
def test_neighbours_remain_neighbours(quantities: list[str], count: int) -> None:
    """Sensors change places within quantities, and quantities of equally many sensors as a whole."""
    windows = np.tile(np.arange(len(quantities), dtype=np.float32), (5000, 1, 1))
    rng = np.random.default_rng(0)
    is_faulty = np.zeros(len(windows), dtype=bool)
    varied = SwapAndScale(quantities, 1e9, 3.0, 3.8).augment(windows, is_faulty, rng)
    orders = np.unique(np.argsort(np.argsort(varied[:, 0], axis=1), axis=1), axis=0)  # (order, feature)
    assert len(orders) == pytest.approx(count, abs=count * 0.02)
    taken = np.array(quantities)[orders]  # the quantity whose sensor each feature got
    for quantity in quantities:
        columns = [column for column, other in enumerate(quantities) if other == quantity]
        assert (taken[:, columns] == taken[:, columns[:1]]).all()
