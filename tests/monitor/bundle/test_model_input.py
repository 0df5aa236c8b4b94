"""Tests of the model's input."""

import numpy as np
import pytest

from monitor.bundle.model_input import DeviationTransform


def test_move_growth() -> None:
    """A unit grows by its feature's share of what all sensors of the quantity have moved."""
    quantities = ["temperature", "humidity", "temperature", "humidity"]
    window = np.array([[[22.0, 50.0, 20.0, 58.0]]])  # (window, step, feature)
    # No usual deviation, a unit of 1, and the last block: all have moved by at least 2 degC and 10 %RH.
    baseline = np.array([[[0.0] * 4, [1.0] * 4, [20.0, 40.0, 18.0, 40.0]]])
    inputs = DeviationTransform(quantities, (0.1, 0.3, 0.1, 0.3)).transform(window, baseline)
    assert inputs[0, 0] == pytest.approx([1 / 1.2, -4 / 4, -1 / 1.2, 4 / 4])
