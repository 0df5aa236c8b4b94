import numpy as np
import pytest

from monitor.core.arrays import FloatArray
from monitor.detect.mixed_senders import MixedSenders

LEVELS = np.array([[20.0, 50.0, 20.5, 50.0], [24.0, 44.0, 24.5, 43.0]])


def _find(readings: FloatArray, group: str = "g", senders: MixedSenders | None = None) -> list[str]:
    """Look at each window of three readings of one group, one at a time."""
    looked = senders or MixedSenders()
    found = []
    for end in range(3, len(readings) + 1):
        found += looked.find([group], readings[None, end - 3 : end])
    return found


def _noise(count: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(0, 0.05, (count, 4))


def test_two_senders() -> None:
    """A group whose readings alternate between two levels is named, and once."""
    assert _find(np.tile(LEVELS, (100, 1)) + _noise(200)) == ["g"]


def test_two_senders_that_overtake_each_other() -> None:
    """It is named, too, if now and then a sender's readings follow each other."""
    sender = np.arange(400) % 2
    sender[::20] = sender[1::20]
    assert _find(LEVELS[sender] + _noise(400)) == ["g"]


@pytest.mark.parametrize("seed", range(5))
def test_one_sender(seed: int) -> None:
    """Noise about one level, a rounded value that flickers, a ramp, a step and a spike are one sender's."""
    noise = _noise(2000, seed)
    ramp = np.linspace(0, 30, 2000)[:, None]
    step = np.where(np.arange(2000) < 1000, 0, 8)[:, None]
    spikes = np.where(np.arange(2000) % 10 == 0, 40, 0)[:, None]
    for readings in (noise, np.round(noise, 1), ramp + noise, step + noise, spikes + noise, 0 * noise):
        assert _find(LEVELS[0] + readings) == []


def test_one_feature_that_alternates() -> None:
    """A single sensor that alternates is a fault and no second sender."""
    readings = LEVELS[0] + _noise(200)
    readings[::2, 0] += 5
    assert _find(readings) == []


def test_groups_are_told_apart() -> None:
    """Only the group with two senders is named."""
    senders = MixedSenders()
    mixed, single = np.tile(LEVELS, (100, 1)) + _noise(200), LEVELS[0] + _noise(200)
    found = []
    for end in range(3, 201):
        windows = np.stack([single[end - 3 : end], mixed[end - 3 : end]])
        found += senders.find(["single", "mixed"], windows)
    assert found == ["mixed"]


def test_short_windows_and_empty_batches() -> None:
    """Windows of fewer than three readings, and no windows, name nothing."""
    assert MixedSenders().find(["g"], np.zeros((1, 2, 4))) == []
    assert MixedSenders().find([], np.zeros((0, 3, 4))) == []
