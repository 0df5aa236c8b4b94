"""Tests of kinds of faults and of smallest offsets on a simulated plant.

`make kinds` and `make sensitivity` have more plants.
"""

import numpy as np
import pandas as pd
import pytest

from monitor import bundle
from monitor.bundle import Bundle, default_bundle
from tests.quality import fault_kinds, shows_from
from tests.support.training_features import FEATURES
from training.data.simulate import DEFAULT_START, Plant, simulate
from training.faults.fault_kinds import DEFAULT_FAULT_KINDS


@pytest.fixture(scope="module")
def loaded() -> Bundle:
    """Return the bundle that comes with the monitor."""
    return bundle.load(default_bundle.DEFAULT_BUNDLE_FOLDER)


@pytest.fixture(scope="module")
def plant() -> pd.DataFrame:
    """Return eight hours of a healthy plant."""
    return simulate(Plant(2, 7, DEFAULT_START, FEATURES, "mild"), 0.0, 8.0)


def test_kinds(loaded: Bundle, plant: pd.DataFrame) -> None:
    """Nine of ten incidents have the right kind at their end, except for gains, which look like offsets."""
    incidents = fault_kinds.measure(loaded, {"mild": plant}, DEFAULT_FAULT_KINDS, fault_kinds.FAULT_RATE)
    is_right = (incidents["last"] == incidents["fault"]).groupby(incidents["fault"]).mean()
    assert set(is_right.index) == set(DEFAULT_FAULT_KINDS)
    assert is_right.drop("gain").min() >= 0.9
    assert set(incidents["last"][incidents["fault"] == "gain"]) <= {"gain", "offset"}


def test_offsets_that_show(loaded: Bundle, plant: pd.DataFrame) -> None:
    """One and a half times the smallest offset is called Faulty, half of it isn't."""
    sensitivity = shows_from.measure(loaded, plant)
    assert len(sensitivity.offsets) == 2 * shows_from.LOOKS
    assert np.mean(sensitivity.found[1.5]) >= 0.95
    assert np.mean(sensitivity.found[0.5]) <= 0.05
