import numpy as np
import pytest

from monitor.bundle.manifest import Feature
from monitor.core.quantities import find_neighbours, quantity_name
from monitor.detect.contributions import Contributions
from monitor.detect.explanation import explain
from tests.support.toy_bundle import FAULTY, FEATURES, HEALTHY, SCALER

TEMPERATURE_2_SHARES = np.array([0.1, 0.0, 0.9, 0.0])


def _explain(
    window: list[list[float]],
    by_feature: np.ndarray | None,
    by_step: np.ndarray | None = None,
    features: tuple[Feature, ...] = FEATURES,
) -> str:
    values = np.array(window)
    scaled = (values - SCALER.mean[0]) / SCALER.scale[0]
    if features is FEATURES:
        scaled = SCALER.transform(values)
    return explain(features, values, scaled.astype(np.float32), Contributions(by_feature, by_step))


def test_value_and_its_neighbour() -> None:
    """The text has the feature with the largest share, its value and unit, and its neighbour's value."""
    text = _explain([[27.49, 67.81, 27.6, 67.78], [27.49, 67.81, 55.2, 67.78]], TEMPERATURE_2_SHARES)
    assert text == "temperature_2 reads 55.2 degC, its neighbour temperature_1 27.5"


def test_reading_of_the_largest_deviation() -> None:
    """The values are from the reading with the largest deviation; of equal deviations the newest counts."""
    assert "reads 30 degC" in _explain([HEALTHY, FAULTY, HEALTHY], TEMPERATURE_2_SHARES)
    equal_deviations = [[20.0, 50.0, value, 50.0] for value in (30.0, 10.0)]
    assert "reads 10 degC" in _explain(equal_deviations, TEMPERATURE_2_SHARES)


def test_no_single_value() -> None:
    """Without shares the text has the neighbours with the largest deviation, the more unusual one first."""
    text = _explain([HEALTHY, [21.0, 55.0, 12.0, 12.5]], None)
    assert text == "no value alone accounts for it; humidity_2 reads 12.5 %RH, its neighbour humidity_1 55"
    text = _explain([HEALTHY, [21.0, 92.5, 12.0, 55.0]], None)
    assert text == "no value alone accounts for it; humidity_1 reads 92.5 %RH, its neighbour humidity_2 55"
    equal_neighbours = [20.0, 50.0, 20.0, 50.0]
    assert _explain([equal_neighbours] * 2, None) == "no value alone accounts for it"


def test_moved_sensor_is_named() -> None:
    """If two sensors diverge within the window, the text names the sensor that moved, whatever the shares."""
    before = [23.1, 51.4, 23.2, 51.2]
    text = _explain([before, before, [23.1, 51.4, 25.5, 41.4]], np.array([0.0, 1.0, 0.0, 0.0]))
    assert text == "humidity_2 reads 41.4 %RH, its neighbour humidity_1 51.4"
    text = _explain([before, before, [23.1, 51.4, 25.5, 41.4]], None)
    assert text == "no value alone accounts for it; humidity_2 reads 41.4 %RH, its neighbour humidity_1 51.4"


def test_constant_deviation() -> None:
    """If two sensors differ in the whole window, the text names the sensor with the share."""
    text = _explain([[20.0, 50.0, 30.0, 50.0], [22.0, 50.0, 30.0, 50.0]], TEMPERATURE_2_SHARES)
    assert text == "temperature_2 reads 30 degC, its neighbour temperature_1 20"


def test_any_features() -> None:
    """A feature may have no neighbour; the values of several neighbours are given as a range."""
    bar = [Feature(f"pressure_{place}", "bar") for place in ("in", "mid", "out")]
    features = (*bar, Feature("air", "kPa"), Feature("flow", ""))
    window = [[1.234, 5.0, 1.0, 1013.25, 0.5], [1.235, 5.1, 1.05, 1013.3, 0.25]]
    shares = np.eye(5)
    assert (
        _explain(window, shares[0], features=features)
        == "pressure_in reads 1.24 bar, its neighbours 1.05 to 5.1"
    )
    assert _explain(window, shares[3], features=features) == "air reads 1013.3 kPa"
    by_step = np.array([[0, 0, 0, 0, 0.8], [0, 0, 0, 0, 0.2]])
    assert _explain(window, shares[4], by_step, features) == "flow reads 0.5"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["temperature_1", "temperature_2", "humidity_1"], [1]),
        (["a_b_1", "a_b_2", "a_c_1"], [1]),
        (["one", "two"], []),
        (["_1", "_2"], []),
    ],
)
def test_neighbours(names: list[str], expected: list[int]) -> None:
    """The names of neighbours differ only after the last underscore."""
    assert find_neighbours(list(map(quantity_name, names)), 0) == expected
