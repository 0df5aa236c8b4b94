import numpy as np
import pytest

from monitor.bundle.manifest import Feature
from monitor.core.arrays import FloatArray
from monitor.core.verdicts import Detector
from tests.monitor.detect.checks.pairs import (
    DAY_S,
    FEATURES,
    GROUP,
    START,
    detectors,
    make_stage,
    make_windows,
    push,
    quiet_pairs,
    reasons,
)
from training.data.simulate import DEFAULT_START, Plant, simulate

_LONE = (Feature("pressure_1", "bar"), Feature("humidity_1", "%RH"))
_HOUR_S = 3600

PERIODS = [30.0, 600.0, 900.0]


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("column", [0, 3])
@pytest.mark.parametrize("from_day", [0, 1])
def test_flat_sensor(period: float, column: int, from_day: int) -> None:
    """A sensor that stands still beside a moving one is found within two days, also from the beginning."""
    ts, values = quiet_pairs(period, from_day + 3)
    frozen = ts >= ts[0] + from_day * DAY_S
    values[frozen, column] = values[frozen, column][0]
    stage = make_stage()
    findings = push(stage, ts, values)
    found = findings.detectors.nonzero()[0]
    assert set(findings.detectors[found]) == {Detector.FLAT}
    first_ts = ts[2:][found[0]]
    assert from_day * DAY_S < first_ts - ts[0] < (from_day + 2) * DAY_S + 6 * 3600
    assert found.tolist() == list(range(found[0], len(ts) - 2))  # without interruption
    neighbour = FEATURES[(column + 2) % 4].name
    reason = reasons(stage, findings, values)[0]
    assert reason.startswith(f"{FEATURES[column].name} has read ")
    assert reason.endswith(f", while {neighbour} moved up and down")


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("step", [0.01, 0.5, 1.0])
def test_healthy_sensors(period: float, step: float) -> None:
    """Healthy sensors are never flat, also not one that reports in coarse steps."""
    ts, values = quiet_pairs(period, 4)
    values[:, :2] = np.round(values[:, :2] / step) * step
    assert not detectors(ts, values).any()


def test_event_beside_one_sensor() -> None:
    """A shower beside the neighbour of a sensor that reports in steps of 1 %RH is no fault of it."""
    ts, values = quiet_pairs(600.0, 1)
    values[:, 1] = 45.0
    values[:, 3] = 45.0 + np.where((ts > ts[0] + 0.3 * DAY_S) & (ts < ts[0] + 0.4 * DAY_S), 25.0, 0.3)
    values[:, 3] += np.random.default_rng(0).normal(0, 0.2, len(ts))
    assert not detectors(ts, values).any()


def test_both_stand_still() -> None:
    """A pair of which both stand still isn't found: nothing tells it from a plant that stands still."""
    ts, values = quiet_pairs(600.0, 3)
    values[:, [0, 2]] = [21.0, 21.2]
    assert not detectors(ts, values).any()


def test_fog() -> None:
    """Humidity at the top of its range is flat only while its neighbour is far away."""
    ts, values = quiet_pairs(600.0, 3)
    values[:, 1], values[:, 3] = 99.9, 93 + 5 * np.sin(ts / 7000)
    assert not detectors(ts, values).any()
    values[:, 3] -= 30
    assert (detectors(ts, values) == Detector.FLAT).any()


def test_recovery() -> None:
    """A sensor that moves again is flat no longer, from its first other value on."""
    ts, values = quiet_pairs(5.0, 3)
    frozen = ts < ts[0] + 2.5 * DAY_S
    values[frozen, 0] = values[0, 0]
    back = int(frozen.sum())
    found = detectors(ts, values) == Detector.FLAT  # (window,), the first window ends with the third reading
    assert found[back - 3]
    moved = np.abs(values[back:, 0] - values[0, 0]) > 0.05
    assert not found[back - 2 :][moved].any()


def test_one_step_is_no_recovery() -> None:
    """A flat sensor whose value flickers by one step stays flat, so that it is one incident."""
    ts, values = quiet_pairs(600.0, 5)
    values[200:, 0] = 20.0
    values[600::7, 0] = 20.01
    found = detectors(ts, values) == Detector.FLAT
    first = int(found.nonzero()[0][0])
    assert first < 600
    assert found[first:].all()


def test_sensor_in_a_cellar() -> None:
    """A sensor that has often stood still for a day while its neighbour moved is flat after twice as long."""
    ts, values = quiet_pairs(600.0, 12)
    day = ((ts - ts[0]) // (1.4 * DAY_S)).astype(int)
    values[:, 0] = 14 + 0.1 * (day % 3)
    assert not detectors(ts, values).any()
    values[day >= 5, 0] = 14.2
    found = detectors(ts, values) == Detector.FLAT
    assert found[-1]
    assert ts[2:][found][0] - ts[day == 5][0] > 2.5 * DAY_S


def _lone_sensors(period: float, hours: float, moving_hours: float) -> tuple[FloatArray, FloatArray]:
    """Return event times and values of `_LONE`, of which the first stands still after `moving_hours`."""
    ts = START + np.arange(0, hours * _HOUR_S, period)
    rng = np.random.default_rng(0)
    pressure = np.round(4.1 + 0.1 * np.sin(ts / 5000) + rng.normal(0, 0.003, len(ts)), 3)
    pressure[ts >= START + moving_hours * _HOUR_S] = 4.123
    return ts, np.stack(
        [pressure, np.round(50 + 5 * np.sin(ts / 9000) + rng.normal(0, 1, len(ts)), 1)], axis=1
    )


@pytest.mark.parametrize("period", [30.0, 300.0])
@pytest.mark.parametrize("batch", [17, 100_000])
def test_lone_sensor(period: float, batch: int) -> None:
    """A sensor without neighbours that stood still for a day is flat from then on, however readings come."""
    ts, values = _lone_sensors(period, 48, 8)
    windows, stage = make_windows(values), make_stage(features=_LONE)
    found = np.concatenate(
        [
            stage.push([GROUP] * len(part), ts[2:][begin : begin + batch], part).detectors
            for begin in range(0, len(windows), batch)
            for part in [windows[begin : begin + batch]]
        ]
    )
    first = int(found.nonzero()[0][0])
    assert ts[2:][first] == pytest.approx(START + 32 * _HOUR_S, abs=600, rel=0)
    assert (found[first:] == Detector.FLAT).all()
    stage = make_stage(features=_LONE)
    reason = reasons(stage, push(stage, ts, values), values)[0]
    assert reason.startswith("pressure_1 has read 4.123 bar all the time since 2024-10-04T08:0")
    assert reason.endswith(", ten times as long as ever before")


@pytest.mark.parametrize(
    ("value", "moving_hours", "is_humidity"),
    [
        (4.123, 48.0, False),  # it moves
        (4.123, 0.0, False),  # it has never moved
        (0.0, 8.0, False),  # its plant is switched off
        (100.0, 8.0, True),  # humidity in fog
    ],
)
def test_healthy_lone_sensor(value: float, moving_hours: float, *, is_humidity: bool) -> None:
    """A sensor without neighbours that may well stand still isn't flat."""
    ts, values = _lone_sensors(300.0, 48, moving_hours)
    frozen = ts >= START + moving_hours * _HOUR_S
    values[frozen, int(is_humidity)] = value
    if is_humidity:
        values[:, 0] = _lone_sensors(300.0, 48, 48)[1][:, 0]
    assert not push(make_stage(features=_LONE), ts, values).detectors.any()


@pytest.mark.parametrize("kind", ["mild", "kiln"])
@pytest.mark.parametrize("digits", [0, 2])
def test_lone_sensors_of_a_simulated_plant(kind: str, digits: int) -> None:
    """Healthy sensors without neighbours are never flat, also in whole degrees."""
    features = (Feature("temperature_1", "degC"), Feature("humidity_1", "%RH"), Feature("pressure_1", "bar"))
    plant = simulate(Plant(1, 5, DEFAULT_START, features, kind), 0, 72)
    values = plant[[feature.name for feature in features]].to_numpy().round(digits)
    assert not push(make_stage(features=features), plant["ts"].to_numpy(), values).detectors.any()


def test_lone_sensor_that_often_stands_still() -> None:
    """One that stood still for hours before is flat only when it does ten times as long."""
    ts, values = _lone_sensors(300.0, 96, 0)
    values[:96, 0] = np.repeat([4.0, 4.1], 48)  # 4 h each
    found = push(make_stage(features=_LONE), ts, values).detectors
    first_ts = ts[2:][int(found.nonzero()[0][0])]
    assert first_ts - ts[96] == pytest.approx(40 * _HOUR_S, abs=3600)
