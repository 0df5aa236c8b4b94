import pytest

from monitor.bundle import Feature
from tests.support.training_features import FEATURES
from training.config.settings import FitSettings
from training.data import baseline_windows
from training.data.features import describe_sensor


def test_the_floors_of_the_default_features() -> None:
    """The default bundle's floors follow from the defaults of the quantities."""
    spec = baseline_windows.baseline_from_settings(FitSettings())
    assert spec is not None
    assert spec.floors == (0.08, 0.5, 0.08, 0.5)
    assert [describe_sensor(feature).measuring_range for feature in FEATURES[:2]] == [(-40, 125), (0, 100)]


@pytest.mark.parametrize(
    ("feature", "accuracy", "floor", "low"),
    [
        (Feature("temperature_1", "degF"), 0.72, 0.144, -40),
        (Feature("temperature_1", "degC", accuracy=4.0), 4.0, 0.8, -40),  # the floor grows with the accuracy
        (Feature("inlet", "bar", "pressure"), 0.001, 0.0002, 0.3),
        (Feature("temperature_1", "degC", low=-5.0), 0.4, 0.08, -5),
        (Feature("ph_1", "", low=0.0, high=14.0, accuracy=0.1), 0.1, 0.02, 0),
    ],
)
def test_what_is_known_of_a_sensor(feature: Feature, accuracy: float, floor: float, low: float) -> None:
    """What the feature says comes first, then what is usual for its quantity, in the feature's unit."""
    sensor = describe_sensor(feature)
    assert sensor.accuracy == pytest.approx(accuracy)
    assert sensor.floor == pytest.approx(floor)
    assert sensor.measuring_range[0] == pytest.approx(low)


@pytest.mark.parametrize(
    ("feature", "measuring_range"),
    [
        (Feature("temperature_1", "degC", low=200.0), (200, 1400)),
        (Feature("temperature_1", "degC", high=-50.0), (-100, -50)),
        (Feature("pressure_1", "bar", low=1.5), (1.5, 1000)),
        (Feature("temperature_1", "degC", low=200.0, high=900.0), (200, 900)),
        (Feature("temperature_1", "degC", low=0.0), (0, 125)),
    ],
)
def test_sensor_beyond_the_common_range(feature: Feature, measuring_range: tuple[float, float]) -> None:
    """A sensor that measures beyond common ones reaches to the limit of its quantity."""
    assert describe_sensor(feature).measuring_range == pytest.approx(measuring_range)


def test_an_unknown_sensor_is_refused() -> None:
    """A feature of an unknown quantity that doesn't say all can't be trained."""
    with pytest.raises(ValueError, match="ph_1: its sensor's accuracy, low and high are not known"):
        describe_sensor(Feature("ph_1", "", low=0.0, high=14.0))
