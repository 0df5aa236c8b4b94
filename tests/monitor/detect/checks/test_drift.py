import numpy as np
import pytest

from monitor.core.arrays import FloatArray
from monitor.core.verdicts import Detector
from tests.monitor.detect.checks.pairs import DAY_S, detectors, make_stage, push, quiet_pairs, reasons


def _drifting(
    period: float, days: int, *, from_day: int, per_day: float, column: int = 1
) -> tuple[FloatArray, FloatArray]:
    """Return readings of which one sensor leaves its neighbour from a day on, by so much a day."""
    ts, values = quiet_pairs(period, days)
    values[:, column] += per_day * np.maximum(0, (ts - ts[0]) / DAY_S - from_day)
    return ts, values


@pytest.mark.parametrize("period", [300.0, 3600.0])
@pytest.mark.parametrize(("column", "per_day"), [(0, 0.3), (1, -1.0), (2, -0.3), (3, 1.0)])
def test_drift(period: float, column: int, per_day: float) -> None:
    """A sensor that leaves its neighbour by 0.3 degC or 1 %RH a day is found before it is off by 9 or 30."""
    ts, values = _drifting(period, 70, from_day=30, per_day=per_day, column=column)
    values[:, 1::2] += 20 * (per_day < 0)  # humidity stays away from the end of its range
    stage = make_stage()
    findings = push(stage, ts, values)
    found = findings.detectors.nonzero()[0]
    assert set(findings.detectors[found]) == {Detector.DRIFT}
    assert 30 * DAY_S < ts[2:][found[0]] - ts[0] < 60 * DAY_S
    assert found.tolist() == list(range(found[0], len(ts) - 2))  # one incident
    name = "humidity" if column % 2 else "temperature"
    assert reasons(stage, findings, values)[0].startswith(
        f"{name}_1 and {name}_2 have come apart over days: {name}_1 reads "
    )


def test_reason() -> None:
    """The reason says how far the sensors are apart, and how far they usually are."""
    ts, values = quiet_pairs(600.0, 60)
    values[ts >= ts[0] + 40 * DAY_S, 3] += 25
    stage = make_stage()
    findings = push(stage, ts, values)
    assert reasons(stage, findings, values)[500] == (
        "humidity_1 and humidity_2 have come apart over days: humidity_1 reads 26 %RH less, usually 1 %RH "
        "less"
    )


def test_season() -> None:
    """Sensors that come apart by 1.5 degC and 10 %RH with the season are no fault."""
    ts, values = quiet_pairs(600.0, 120)
    season = np.sin((ts - ts[0]) / DAY_S / 60)
    values[:, 0] += 1.5 * season
    values[:, 1] += 10 * season
    assert not detectors(ts, values).any()


def test_bad_day() -> None:
    """Three days on which a sensor reads something else don't make a drift."""
    ts, values = quiet_pairs(600.0, 60)
    bad = (ts > ts[0] + 40 * DAY_S) & (ts < ts[0] + 43 * DAY_S)
    values[bad, 0] += 30
    assert not detectors(ts, values).any()


def test_return() -> None:
    """A drift ends a week after the sensor came back at the latest."""
    ts, values = _drifting(600.0, 80, from_day=30, per_day=1.0)
    back = ts > ts[0] + 65 * DAY_S
    values[back] = quiet_pairs(600.0, 80)[1][back]
    found = detectors(ts, values) == Detector.DRIFT
    assert found[ts[2:] < ts[0] + 65 * DAY_S][-1]
    assert not found[ts[2:] > ts[0] + 72 * DAY_S].any()


def test_new_place() -> None:
    """A distance that stays is the usual one after half a year to a year: no group is Faulty for ever."""
    ts, values = quiet_pairs(3600.0, 400)
    moved = ts > ts[0] + 40 * DAY_S
    values[moved, 0] += 3.0
    found = detectors(ts, values) == Detector.DRIFT
    assert found.any()
    assert not found[-1]


def test_incomplete_days() -> None:
    """Days with fewer than 18 hours teach nothing: without the nights the daily course doesn't cancel."""
    ts, values = quiet_pairs(600.0, 90)
    by_day = (ts - ts[0]) % DAY_S < 15 * 3600
    values[ts > ts[0] + 40 * DAY_S, 0] += 20
    assert not detectors(ts[by_day], values[by_day]).any()
