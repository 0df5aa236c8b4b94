"""Tests of the model's input."""

import numpy as np
import pytest

from monitor.bundle.model_input import DeviationTransform, find_spikes


def test_move_growth() -> None:
    """A unit grows by its feature's share of what all sensors of the quantity have moved."""
    quantities = ["temperature", "humidity", "temperature", "humidity"]
    window = np.array([[[22.0, 50.0, 20.0, 58.0]]])  # (window, step, feature)
    # No usual deviation, a unit of 1, and the last block: all have moved by at least 2 degC and 10 %RH.
    baseline = np.array([[[0.0] * 4, [1.0] * 4, [20.0, 40.0, 18.0, 40.0]]])
    inputs = DeviationTransform(quantities, (0.1, 0.3, 0.1, 0.3)).transform(window, baseline)
    assert inputs[0, 0] == pytest.approx([1 / 1.2, -4 / 4, -1 / 1.2, 4 / 4])


def test_spikes() -> None:
    """A spike is as high as it sticks out on both sides; a step, a slope and a window's ends are none."""
    windows = np.array([[1.0, 5.0, 2.0], [1.0, -3.0, 0.0], [1.0, 5.0, 5.0], [1.0, 3.0, 5.0], [1.0, 1.0, 9.0]])
    spikes = find_spikes(windows[:, :, None])[:, :, 0]
    assert spikes.tolist() == [[0, 3, 0], [0, -3, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_lone_sensor_of_a_model_of_sensors() -> None:
    """A model of sensors gets the spikes of a sensor without neighbours; a model of windows its deviation."""
    window = np.array([[[20.0, 3.0, 21.0], [20.0, 8.0, 21.0], [20.0, 4.0, 21.0]]])  # (window, step, feature)
    baseline = np.array([[[0.0, 2.0, 0.0], [1.0, 2.0, 1.0], [20.0, 2.0, 21.0]]])
    quantities = ["temperature", "pressure", "temperature"]
    by_sensor = DeviationTransform(quantities, judges="sensor").transform(window, baseline)
    assert by_sensor[0, :, 1].tolist() == [0, 2, 0]
    by_window = DeviationTransform(quantities).transform(window, baseline)
    assert by_window[0, :, 1].tolist() == [0.5, 3, 1]
    assert by_sensor[0, :, [0, 2]].tolist() == by_window[0, :, [0, 2]].tolist() == [[-0.5] * 3, [0.5] * 3]
