"""The smallest offset that would be called Faulty."""

from pathlib import Path

import numpy as np
import pytest

from monitor import bundle
from monitor.bundle.default_bundle import DEFAULT_BUNDLE_FOLDER
from monitor.config.settings import AlertSettings, WindowSettings
from monitor.core.arrays import FloatArray
from monitor.core.readings import Readings
from monitor.detect.baseline import BaselineSpec
from monitor.detect.scoring import Scoring
from monitor.detect.sensitivity import find_smallest_offsets
from monitor.service.settings_to_stages import build_scoring
from tests.support.toy_bundle import save_toy_bundle

AT_REST = np.array([20.0, 50.0, 20.2, 49.0])
SCALES = np.array([1.0, 3.0, 1.0, 3.0])  # of the noise of temperatures and humidities


def _values(noise: float, readings: int) -> FloatArray:
    """Return healthy readings (reading, feature) of a plant at rest."""
    noises = np.random.default_rng(3).normal(0, noise, (readings, 4)) * SCALES
    result: FloatArray = AT_REST + noises
    return result


def _judge(scoring: Scoring, values: FloatArray, first: int = 0) -> FloatArray:
    """Judge readings of the group `g`, and return whether each window is Faulty."""
    count = len(values)
    readings = Readings(
        groups=["g"] * count,
        ts=(first + np.arange(count)) * 5.0,
        values=values,
        arrived_at=np.full(count, np.inf),
        arrived_monotonic=np.zeros(count),
        redelivered=np.zeros(count, dtype=np.bool_),
    )
    return scoring.judge(readings).judged_windows.faulty


def _scoring(folder: Path) -> Scoring:
    return build_scoring(bundle.load(folder), WindowSettings(), AlertSettings())


@pytest.mark.parametrize("noise", [0.01, 0.3])
@pytest.mark.parametrize("feature", range(4))
@pytest.mark.parametrize("sign", [1, -1])
def test_offsets_show_from_there(noise: float, feature: int, sign: int) -> None:
    """An offset well above is called Faulty within a window, one well below isn't, in any group."""
    faulty_by_size = {}
    for size in (0.5, 1.5):
        scoring = _scoring(DEFAULT_BUNDLE_FOLDER)
        _judge(scoring, _values(noise, 300))
        offsets = scoring.shows_from("g")
        assert offsets is not None
        faulty_readings = np.tile(AT_REST, (3, 1)) + sign * size * offsets[feature] * np.eye(4)[feature]
        faulty_by_size[size] = bool(_judge(scoring, faulty_readings, 300).any())
    assert faulty_by_size == {0.5: False, 1.5: True}


def test_noisy_group_shows_less() -> None:
    """The noisier a group, the larger the smallest offset."""
    offsets = []
    for noise in (0.01, 0.3):
        scoring = _scoring(DEFAULT_BUNDLE_FOLDER)
        _judge(scoring, _values(noise, 300))
        offsets.append(scoring.shows_from("g"))
    quiet, noisy = offsets
    assert quiet is not None
    assert noisy is not None
    # 5.4 times the floors of 0.08 degC and 0.5 %RH.
    np.testing.assert_allclose(quiet, [0.435, 2.7, 0.435, 2.7], rtol=0.1)
    assert np.greater(noisy, 1.5 * np.array(quiet)).all()


def test_young_group() -> None:
    """Before the first block is learnt there is no answer."""
    scoring = _scoring(DEFAULT_BUNDLE_FOLDER)
    assert scoring.shows_from("g") is None
    values = _values(0.3, 300)
    _judge(scoring, values[:9])
    assert scoring.shows_from("g") is None
    _judge(scoring, values[9:12], 9)
    assert scoring.shows_from("g") is not None
    np.testing.assert_allclose(np.nanmax(scoring.shows_from_by_row(), axis=0), scoring.shows_from("g"))


def test_offset_that_never_shows(tmp_path: Path) -> None:
    """A feature that the model doesn't look at has an infinite smallest offset."""
    save_toy_bundle(tmp_path / "bundle", baseline=BaselineSpec(floors=(0.08, 0.5, 0.08, 0.5)))
    offsets = find_smallest_offsets(bundle.load(tmp_path / "bundle"))
    # The toy model is Faulty from temperatures that are 5 units apart on.
    assert offsets.tolist() == [pytest.approx(5, rel=0.02), np.inf, pytest.approx(5, rel=0.02), np.inf]


def test_without_baseline(tmp_path: Path) -> None:
    """A bundle without a baseline has no answer, for it judges raw values."""
    save_toy_bundle(tmp_path / "bundle")
    scoring = _scoring(tmp_path / "bundle")
    _judge(scoring, _values(0.3, 300))
    assert scoring.shows_from("g") is None
    assert np.isnan(scoring.shows_from_by_row()).all()
