"""Tests of what settings of sources change in the bundle."""

from typing import Any

import numpy as np
import pytest

from monitor import bundle
from monitor.bundle import Bundle, default_bundle
from monitor.bundle.model_input import DeviationTransform
from monitor.config.settings import Settings
from monitor.service.settings_to_sources import adapt_bundle


@pytest.fixture(scope="module")
def loaded() -> Bundle:
    """Return the bundle that comes with the monitor."""
    return bundle.load(default_bundle.choose_folder(None))


def settings(**align: Any) -> Settings:
    """Return settings with a topic for each feature."""
    source = {"topic": "plant/{line}/{feature}", "format": "number"}
    return Settings.model_validate({"input": {"sources": [source], "align": align}})


def test_no_deadband(loaded: Bundle) -> None:
    """Without a deadband a plant's moves widen the unit as in training."""
    _, adapted = adapt_bundle(settings(), loaded)
    assert adapted.move_growth is None
    assert adapted.manifest.baseline == loaded.manifest.baseline


def test_deadband(loaded: Bundle) -> None:
    """A deadband raises the floor to half of it, and a plant's moves widen the feature's unit less."""
    _, adapted = adapt_bundle(settings(deadband={"temperature_1": 0.5, "temperature_2": 0.1}), loaded)
    assert adapted.manifest.baseline is not None
    assert adapted.manifest.baseline.floors == (0.25, 0.5, 0.08, 0.5)
    assert adapted.move_growth == (0.1, 0.3, 0.1, 0.3)


def test_move_growth() -> None:
    """A unit grows by its feature's share of what all sensors of the quantity have moved."""
    names = ["temperature_1", "humidity_1", "temperature_2", "humidity_2"]
    window = np.array([[[22.0, 50.0, 20.0, 58.0]]])  # (window, step, feature)
    # No usual deviation, a unit of 1, and the last block: all have moved by at least 2 degC and 10 %RH.
    baseline = np.array([[[0.0] * 4, [1.0] * 4, [20.0, 40.0, 18.0, 40.0]]])
    inputs = DeviationTransform(names, (0.1, 0.3, 0.1, 0.3)).transform(window, baseline)
    assert inputs[0, 0] == pytest.approx([1 / 1.2, -4 / 4, -1 / 1.2, 4 / 4])
