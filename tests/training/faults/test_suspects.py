from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monitor.bundle import Feature
from tests.support.training_features import FEATURES
from training.data.lwsndr import DEFAULT_START as LWSNDR_START
from training.data.lwsndr import join_motes
from training.data.plant_kinds import PLANT_KINDS
from training.data.simulate import DEFAULT_START, Plant, simulate
from training.faults.inject import inject
from training.faults.suspects import find_suspicious
from training.report.suspects_plots import draw_stretches


@pytest.fixture(scope="module")
def healthy_frame() -> pd.DataFrame:
    """Return two hours of two healthy groups."""
    return simulate(Plant(2, 4, DEFAULT_START, FEATURES), 0, 2)


@pytest.mark.parametrize("kind", PLANT_KINDS)
def test_a_healthy_plant_is_not_suspected(kind: str) -> None:
    """Daily cycles, doors, compressors and batches change both sensors of a pair, and are not suspicious."""
    assert find_suspicious(simulate(Plant(6, 1, DEFAULT_START, FEATURES, kind), 0, 12), FEATURES) == []


@pytest.mark.parametrize("kind", PLANT_KINDS)
def test_injected_faults_are_found(kind: str) -> None:
    """More than 90 % of the faulty readings and less than 1 % of the others are in suspicious stretches."""
    frame = inject(simulate(Plant(6, 1, DEFAULT_START, FEATURES, kind), 0, 12), FEATURES, 0.03, 0)
    found = np.zeros(len(frame), dtype=bool)
    for stretch in find_suspicious(frame, FEATURES):
        found |= (
            (frame["group"] == stretch.group) & frame["ts"].between(stretch.start_ts, stretch.end_ts)
        ).to_numpy()
    faulty = (frame["label"] == -1).to_numpy()
    assert found[faulty].mean() > 0.9
    assert found[~faulty].mean() < 0.01


def _second_half_hour(frame: pd.DataFrame) -> pd.Series:
    """Return the mask of the second half hour of station 2: 360 readings."""
    minutes = (frame["ts"] - frame["ts"].min()) / 60
    return (frame["group"] == "line1/station2") & (minutes >= 30) & (minutes < 60)


def _offset(frame: pd.DataFrame, rows: pd.Series) -> None:
    frame.loc[rows, "humidity_2"] += 8


def _stuck(frame: pd.DataFrame, rows: pd.Series) -> None:
    frame.loc[rows, "temperature_1"] = frame.loc[rows, "temperature_1"].median()  # within its usual variation


def _impossible(frame: pd.DataFrame, rows: pd.Series) -> None:
    frame.loc[rows, ["humidity_1", "humidity_2"]] += 70  # both, so that they don't deviate from each other


@pytest.mark.parametrize(
    ("fault", "feature", "reason"),
    [
        (_offset, "humidity_2", "above humidity_1 by 8"),
        (_stuck, "temperature_1", "all the time; temperature_2 moves"),
        (_impossible, "humidity_1", "%RH, beyond 0 to 100"),
    ],
)
def test_a_suspicious_stretch_says_what_is_wrong(
    healthy_frame: pd.DataFrame, fault: Callable[[pd.DataFrame, pd.Series], None], feature: str, reason: str
) -> None:
    """A stretch has its group, sensor, start, end and reason."""
    frame = healthy_frame.copy()
    rows = _second_half_hour(frame)
    fault(frame, rows)
    found = [stretch for stretch in find_suspicious(frame, FEATURES) if stretch.feature == feature]
    assert len(found) == 1
    (stretch,) = found
    assert (stretch.group, stretch.feature) == ("line1/station2", feature)
    assert reason in stretch.reason
    assert stretch.start_ts == pytest.approx(frame.loc[rows, "ts"].min(), abs=300)
    assert stretch.end_ts == pytest.approx(frame.loc[rows, "ts"].max(), abs=300)
    assert stretch.severity >= 1


def test_a_pair_that_always_differs(healthy_frame: pd.DataFrame) -> None:
    """If a sensor is wrong from the first reading to the last, it or its partner is suspected."""
    wrong = healthy_frame["temperature_2"].where(
        healthy_frame["group"] != "line1/station1", healthy_frame["temperature_2"] + 3
    )
    (stretch,) = find_suspicious(healthy_frame.assign(temperature_2=wrong), FEATURES)
    assert (stretch.group, stretch.reading_count) == ("line1/station1", 1440)
    assert stretch.feature == "temperature_1 or temperature_2"


def test_the_worst_comes_first(healthy_frame: pd.DataFrame) -> None:
    """Stretches are sorted by severity, not by time."""
    frame = healthy_frame.copy()
    for minute, offset in ((20, 2.0), (80, 9.0)):
        rows = (frame["ts"] - frame["ts"].min()).between(minute * 60, minute * 60 + 120)
        frame.loc[rows & (frame["group"] == "line1/station1"), "temperature_1"] += offset
    assert [round(stretch.severity) for stretch in find_suspicious(frame, FEATURES)] == [23, 5]


def test_real_recordings_show_only_the_staged_event(lwsndr: Path) -> None:
    """At two outdoor sites only the staged event is suspected, hot water poured beside one mote of each."""
    for names in (
        ("multihop_outdoor_moteid1_data.txt", "multihop_outdoor_moteid2_data.txt"),
        ("singlehop_outdoor_moteid3_data.txt", "singlehop_outdoor_moteid4_data.txt"),
    ):
        frame = join_motes(*(lwsndr / name for name in names), None, LWSNDR_START).frame
        found = find_suspicious(frame, FEATURES)
        event = frame.loc[frame["event"] == 1, "ts"]
        assert {stretch.feature.partition("_")[0] for stretch in found} == {"temperature", "humidity"}
        assert all(
            event.min() - 60 < stretch.start_ts < stretch.end_ts < event.max() + 60 for stretch in found
        )


def test_suspicious_stretches_can_be_drawn(healthy_frame: pd.DataFrame) -> None:
    """The most severe stretches can be drawn, also if both sensors are suspected."""
    frame = healthy_frame.copy()
    _offset(frame, _second_half_hour(frame))
    apart = frame.assign(temperature_2=frame["temperature_2"] + 3)
    assert draw_stretches([frame], find_suspicious(frame, FEATURES), FEATURES).startswith(b"\x89PNG")
    assert draw_stretches([apart], find_suspicious(apart, FEATURES), FEATURES).startswith(b"\x89PNG")


THREE = [Feature(f"temperature_{number}", "degC") for number in (1, 2, 3)]


def _three_temperatures() -> pd.DataFrame:
    return simulate(Plant(1, 4, DEFAULT_START, THREE), 0, 2)


def test_of_three_the_one_apart_is_suspected() -> None:
    """Neither healthy neighbour of the faulty sensor is suspected, and a healthy plant has no suspect."""
    frame = _three_temperatures()
    assert find_suspicious(frame, THREE) == []
    frame.loc[500:560, "temperature_2"] -= 4
    (stretch,) = find_suspicious(frame, THREE)
    assert (stretch.feature, stretch.reading_count) == ("temperature_2", 61)
    assert stretch.reason.startswith("below its neighbours by 3.9")
    assert draw_stretches([frame], [stretch], THREE).startswith(b"\x89PNG")


def test_of_three_the_still_one_is_suspected() -> None:
    """A sensor that stands still while both neighbours move is suspected."""
    frame = _three_temperatures()
    frame.loc[500:700, "temperature_1"] = frame["temperature_1"][500]
    reasons = [stretch.reason for stretch in find_suspicious(frame, THREE)]
    assert any(reason.endswith("temperature_2 and temperature_3 move") for reason in reasons)


def test_a_lone_sensor_has_its_limits_alone() -> None:
    """Without a neighbour, a jump or stillness may be the plant; a value out of range can't."""
    lone = [Feature("temperature_1", "degC", low=0.0, high=50.0)]
    frame = _three_temperatures()
    frame.loc[500:700, "temperature_1"] = 40
    assert find_suspicious(frame, lone) == []
    frame.loc[600, "temperature_1"] = 60
    (stretch,) = find_suspicious(frame, lone)
    assert stretch.reason == "reads 60 degC, beyond 0 to 50"
