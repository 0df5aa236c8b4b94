import numpy as np
import pytest

from monitor.bundle.manifest import Feature
from monitor.core.rules import CheckRules
from monitor.core.verdicts import Detector
from tests.monitor.detect.checks.pairs import START, detectors, make_stage, make_windows, push, reasons

HEALTHY = [21.0, 50.0, 21.2, 51.0]
TS = START + 5.0 * np.arange(3)


def _readings(**changes: float) -> np.ndarray:
    """Return three healthy readings, the newest with some other values: `t1=-127` and so on."""
    values = np.array([HEALTHY] * 3)
    for name, value in changes.items():
        values[-1, ["t1", "h1", "t2", "h2"].index(name)] = value
    return values


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"t1": -127}, "temperature_1 reads -127 degC, below -100 degC, the lowest its sensor can have"),
        (
            {"t1": -127, "t2": -127},
            (
                "temperature_2 reads -127 degC, below -100 degC, the lowest its sensor can have; "
                "temperature_1 too"
            ),
        ),
        (
            {"t1": -127, "h1": 200, "h2": 200},
            (
                "humidity_2 reads 200 %RH, above 110 %RH, the highest its sensor can have; "
                "temperature_1, humidity_1 too"
            ),
        ),
        ({"h1": 200}, "humidity_1 reads 200 %RH, above 110 %RH, the highest its sensor can have"),
        ({"h2": 3276.7}, "humidity_2 reads 3276.7 %RH, above 110 %RH, the highest its sensor can have"),
    ],
)
def test_impossible_value(changes: dict[str, float], reason: str) -> None:
    """A value beyond its sensor's limits is found, also where others have one too; the reason names all."""
    values, stage = _readings(**changes), make_stage()
    findings = push(stage, TS, values)
    assert findings.detectors.tolist() == [Detector.LIMITS]
    assert reasons(stage, findings, values) == [reason]
    assert findings.is_true is not None
    assert not findings.is_true.any()


def test_values_within_limits() -> None:
    """Values at the limits are possible."""
    stage = make_stage()
    findings = push(stage, TS, _readings(t1=-100, t2=-100, h1=110, h2=110))
    assert findings.detectors.tolist() == [Detector.NONE]
    assert findings.is_true is None


def test_limits_of_the_feature() -> None:
    """A feature's own low and high come before those of its quantity; an unknown quantity has no limits."""
    stage = make_stage(features=(Feature("temperature_1", "degC", low=0.0), Feature("torque", "Nm")))
    values = np.array([[1.0, 1e9], [1.0, 1e9], [-0.5, 1e9]])
    assert reasons(stage, push(stage, TS, values), values) == [
        "temperature_1 reads -0.5 degC, below 0 degC, the lowest its sensor can have"
    ]


def test_sentinel() -> None:
    """A number that the settings name as a sentinel of a feature is found; of others it is a value."""
    rules = CheckRules(sentinels={"temperature_1": (85.0,)})
    stage, values = make_stage(rules), _readings(t1=85.0, t2=85.0)
    findings = push(stage, TS, values)
    assert findings.detectors.tolist() == [Detector.LIMITS]
    assert reasons(stage, findings, values) == [
        "temperature_1 reads 85 degC, which its sensor sends in place of a value"
    ]
    assert detectors(TS, _readings(t2=85.0), rules).tolist() == [Detector.NONE]
    assert detectors(TS, _readings(t1=85.01), rules).tolist() == [Detector.NONE]


def test_window_is_faulty_for_any_of_its_readings() -> None:
    """A window has an impossible value until the reading with it has left it."""
    values = np.array([HEALTHY] * 7)
    values[3, 0] = -127
    ts = START + 5.0 * np.arange(7)
    assert (detectors(ts, values) == Detector.LIMITS).tolist() == [False, True, True, True, False]


def test_end_of_range() -> None:
    """Humidity at its floor while its neighbour is far away is found at the second reading."""
    values = np.array([HEALTHY] * 8)
    values[3:6, 1] = 1.0
    ts, stage = START + 600.0 * np.arange(8), make_stage()
    findings = push(stage, ts, values)
    assert (findings.detectors == Detector.FLAT).tolist() == [False, False, True, True, False, False]
    assert reasons(stage, findings, values)[0] == (
        "humidity_1 stands at 1 %RH, the end of its range, while humidity_2 reads 51 %RH"
    )


@pytest.mark.parametrize("neighbour", [0.5, 15.0])
def test_dry_air(neighbour: float) -> None:
    """Humidity at its floor beside a neighbour that is nearly as low is no fault."""
    values = np.array([[80.0, 1.0, 80.0, neighbour]] * 3)
    assert detectors(TS, values).tolist() == [Detector.NONE]


def test_lone_humidity_at_its_floor() -> None:
    """Without a neighbour nothing tells that humidity isn't so low."""
    stage = make_stage(features=(Feature("humidity", "%RH"),))
    findings = stage.push(["g"], TS[-1:], make_windows(np.zeros((3, 1))))
    assert findings.detectors.tolist() == [Detector.NONE]
