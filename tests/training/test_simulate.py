import numpy as np
import pandas as pd

from training.simulate import DEFAULT_START, Plant, simulate

PLANT = Plant(groups=2, seed=5, start=DEFAULT_START)


def test_a_stretch_does_not_depend_on_where_it_is_cut() -> None:
    """Two stretches that follow each other are what one long stretch is."""
    parts = [simulate(PLANT, 0, 0.5), simulate(PLANT, 0.5, 0.25)]
    whole = simulate(PLANT, 0, 0.75)
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)


def test_a_seed_is_a_plant() -> None:
    """The same seed gives the same readings, another one others."""
    assert simulate(PLANT, 0, 0.1).equals(simulate(PLANT, 0, 0.1))
    assert not simulate(PLANT, 0, 0.1).equals(simulate(Plant(2, 6, DEFAULT_START), 0, 0.1))


def test_the_sensors_of_a_pair_agree() -> None:
    """Side by side, two motes differ by far less than a fault, and damp air is cool air."""
    frame = simulate(PLANT, 0, 6)
    one = frame[frame["group"] == "line1/station2"]
    assert np.abs(one["temperature_1"] - one["temperature_2"]).max() < 0.4
    assert np.abs(one["humidity_1"] - one["humidity_2"]).max() < 3
    assert np.corrcoef(one["temperature_1"], one["humidity_1"])[0, 1] < 0


def test_the_form_is_a_recordings() -> None:
    """Groups take turns every 5 s from the start on, all labelled Normal."""
    frame = simulate(PLANT, 0, 0.1)
    assert frame["group"].tolist()[:3] == ["line1/station1", "line1/station2", "line1/station1"]
    assert frame["ts"].tolist()[:3] == [DEFAULT_START.timestamp() + late for late in (0, 0, 5)]
    assert len(frame) == 2 * 72
    assert (frame["label"] == 1).all()
