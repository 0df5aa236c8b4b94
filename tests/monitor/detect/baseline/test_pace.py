"""The baseline of groups at any pace: slow groups, gaps in time, and faults that end in another climate."""

import numpy as np
import pytest

from monitor.bundle.model_input import DeviationTransform
from monitor.core.arrays import FloatArray
from monitor.detect.baseline import BaselineSpec, BaselineStage
from tests.monitor.detect.baseline.event_times import window_ts

QUANTITIES = ("temperature", "humidity", "temperature", "humidity")
FLOORS = (0.08, 0.5, 0.08, 0.5)
STEPS = 3
DAY_S = 86_400.0
FAULTY = 3.0
"""Deviation in units from which a window counts as Faulty here, about as the default bundle judges."""


def _plant_values(readings: int, period: float, apart: float = 0.0, phase: float = 0.0) -> FloatArray:
    """Return readings of two places with other daily courses: (reading, feature).

    Parameters
    ----------
    apart : amplitude of the daily course of the places' difference in temperature, degC.
    phase : of this daily course, radians.
    """
    rng = np.random.default_rng(5)
    day = 2 * np.pi * np.arange(readings) * period / DAY_S
    difference = apart * np.cos(day + phase)
    first = np.column_stack([20 + 3 * np.sin(day), 60 - 6 * np.sin(day)])
    second = first + np.column_stack([difference, -2 * difference])
    return np.column_stack([first, second]) + rng.normal(0, [0.02, 0.1, 0.02, 0.1], (readings, 4))


def _deviations(values: FloatArray, ts: FloatArray) -> FloatArray:
    """Return the largest deviation in units of the newest reading of each window; 0 without baseline.

    Parameters
    ----------
    values : readings (reading, feature).
    ts : event times (reading,).
    """
    windows = np.lib.stride_tricks.sliding_window_view(values, STEPS, axis=0).transpose(0, 2, 1)
    window_times = np.lib.stride_tricks.sliding_window_view(ts, STEPS)
    stage = BaselineStage(QUANTITIES, BaselineSpec(floors=FLOORS))
    baselines, ready = stage.push(["g"] * len(windows), windows, window_times)
    inputs = DeviationTransform(QUANTITIES).transform(windows, baselines)
    deviations = np.zeros(len(values))
    deviations[STEPS - 1 :] = np.abs(inputs[:, -1]).max(axis=-1) * ready
    return deviations


@pytest.mark.parametrize("phase", [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
@pytest.mark.parametrize("length", [100, 400])
def test_fault_ends_where_places_drifted_apart(phase: float, length: int) -> None:
    """After a fault at 60 s, 10 windows at most are Faulty, though the places drifted apart during it."""
    values = _plant_values(1100 + length + 300, 60, apart=1.5, phase=phase)
    values[1100 : 1100 + length, 0] += 4
    deviations = _deviations(values, np.arange(len(values)) * 60.0)
    assert np.mean(deviations[1102 : 1100 + length] > FAULTY) > 0.9
    after = deviations[1100 + length + 2 :]
    assert np.sum(after > FAULTY) <= 10


def test_half_of_a_fault_is_not_the_end_of_it() -> None:
    """A fault that shrinks to half of its size after 100 readings is not learnt."""
    values = _plant_values(1500, 5)
    values[700:800, 0] += 4
    values[800:1400, 0] += 2
    deviations = _deviations(values, np.arange(1500) * 5.0)
    assert deviations[702:1400].min() > FAULTY
    assert deviations[1402:].max() < FAULTY


def test_two_faults_in_a_row_are_not_learnt() -> None:
    """A fault in the opposite direction soon after another one is Faulty, and so is nothing after it."""
    values = _plant_values(900, 5)
    values[500:530, 2] += 3
    values[540:600, 2] -= 2
    deviations = _deviations(values, np.arange(900) * 5.0)
    assert min(deviations[502:530].min(), deviations[542:600].min()) > FAULTY
    assert deviations[602:].max() < FAULTY


def test_end_of_another_event_is_not_the_end_of_a_lasting_fault() -> None:
    """Steam that reaches a faulty sensor for a while does not count as the end of its fault."""
    values = _plant_values(3000, 5)
    values[500:2500, 1] += 5
    values[1500:1560, 1] += 25
    deviations = _deviations(values, np.arange(3000) * 5.0)
    assert deviations[502:2500].min() > FAULTY
    assert deviations[2502:].max() < FAULTY


def test_departed_sensor_is_judged_after_a_long_gap() -> None:
    """Sensors that are 50 %RH apart after 43 days are judged in full, however far the plant has moved."""
    values = _plant_values(600, 5)
    values[300:] += [15, -30, 15, -30]
    values[300:, 1] -= 50
    ts = np.arange(600) * 5.0
    ts[300:] += 43 * DAY_S
    gapless, after_gap = _deviations(values, np.arange(600) * 5.0), _deviations(values, ts)
    assert after_gap[302:306].min() > 40
    assert gapless[302:306].max() < 10  # the plant moved by 30 %RH within a block: unit + 0.3 x 30 %RH


def test_block_has_no_windows_from_before_a_gap() -> None:
    """After a gap in the middle of a block, only windows from after it are the last block."""
    values = np.full((40, 4), 20.0)
    values[22:] = 50.0
    ts = np.arange(40) * 5.0
    ts[22:] += DAY_S
    windows = np.lib.stride_tricks.sliding_window_view(values, STEPS, axis=0).transpose(0, 2, 1)
    stage = BaselineStage(QUANTITIES, BaselineSpec(floors=FLOORS))
    window_times = np.lib.stride_tricks.sliding_window_view(ts, STEPS)
    keep = np.r_[:20, 22 : len(windows)]  # the windows across the gap are none
    baselines, _ = stage.push(["g"] * len(keep), windows[keep], window_times[keep])
    assert set(baselines[keep < 20, 2, 0][7:].tolist()) == {20.0}
    assert set(baselines[keep >= 22, 2, 0].tolist()) == {50.0}


@pytest.mark.parametrize("warmth", [1.0, 2.0])
def test_daily_sun_on_one_of_two_places_is_no_fault(warmth: float) -> None:
    """At 10 minutes, sun that warms up one of two places every noon isn't Faulty once it was seen."""
    values = _plant_values(144 * 6, 600)
    hours = np.arange(len(values)) / 6 % 24
    sun = warmth * np.exp(-(((hours - 12) / 2) ** 2) / 2)
    values[:, 2] += sun
    values[:, 3] -= 2 * sun
    assert np.mean(_deviations(values, np.arange(len(values)) * 600.0)[150:] > FAULTY) < 0.005


def test_lasting_fault_in_a_slow_group() -> None:
    """At 10 minutes a fault of three days is Faulty for as long as it lasts, and nothing is after it."""
    values = _plant_values(1200, 600, apart=0.2)
    values[600:1032, 0] += 4
    deviations = _deviations(values, np.arange(1200) * 600.0)
    assert deviations[602:1032].min() > FAULTY
    assert np.sum(deviations[1034:] > FAULTY) <= 10


def test_unit_is_larger_in_a_slow_groups_first_day() -> None:
    """With the same readings, a slow group's unit is larger in its first day than a fast group's later on."""
    values = np.random.default_rng(2).normal(20, 0.5, (400, 4))
    windows = np.lib.stride_tricks.sliding_window_view(values, STEPS, axis=0).transpose(0, 2, 1)
    stage = BaselineStage(QUANTITIES, BaselineSpec(floors=FLOORS))
    units = stage.push(["g"] * 398, windows, window_ts(398, 600))[0][:, 1, 0]
    assert np.median(units[40:70]) > 1.5 * np.median(units[200:])


def test_slow_group_is_ready_with_its_tenth_reading() -> None:
    """The first nine readings of a slow group have no baseline, as those of any group."""
    values = _plant_values(50, 600)
    windows = np.lib.stride_tricks.sliding_window_view(values, STEPS, axis=0).transpose(0, 2, 1)
    ready = BaselineStage(QUANTITIES, BaselineSpec(floors=FLOORS)).push(
        ["g"] * 48, windows, window_ts(48, 600)
    )[1]
    assert ready.tolist() == [False] * 7 + [True] * 41
