import numpy as np
import pytest

from monitor.detect.ranges import RangeStage
from tests.support.toy_bundle import HEALTHY, NAMES, RANGES


@pytest.fixture
def stage() -> RangeStage:
    """The toy bundle's training ranges: 0 to 40 degC and 20 to 80 %RH."""
    return RangeStage(NAMES, RANGES)


@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize(
    ("feature", "value", "flagged"),
    [
        ("temperature_1", -20.0, False),
        ("temperature_1", -20.1, True),
        ("temperature_2", 60.0, False),
        ("temperature_2", 60.1, True),
        ("humidity_1", -10.0, False),
        ("humidity_1", -10.1, True),
        ("humidity_2", 110.0, False),
        ("humidity_2", 110.1, True),
    ],
)
def test_far_outside(stage: RangeStage, step: int, feature: str, value: float, *, flagged: bool) -> None:
    """A window is flagged if a value is more than half the width of the training range beyond that range."""
    windows = np.array([[HEALTHY] * 3, [HEALTHY] * 3, [HEALTHY] * 3])
    windows[1, step, NAMES.index(feature)] = value
    assert stage.flag(windows).tolist() == [False, flagged, False]


def test_order_of_features() -> None:
    """Ranges are looked up by name, whatever their order."""
    stage = RangeStage(["a", "b"], {"b": (100.0, 200.0), "a": (0.0, 1.0)})
    assert stage.flag(np.array([[[0.5, 150.0]], [[150.0, 0.5]]])).tolist() == [False, True]


def test_no_windows(stage: RangeStage) -> None:
    """An empty batch gives no flags."""
    assert stage.flag(np.empty((0, 3, 4))).tolist() == []
