import pytest
from pydantic import ValidationError

from monitor.config.feature_settings import FeatureSettings, check_features


@pytest.mark.parametrize(
    ("fields", "quantity"),
    [
        ({"name": "temperature_1", "unit": "degF"}, "temperature"),
        ({"name": "inlet", "unit": "bar", "quantity": "pressure"}, "pressure"),
        ({"name": "ph_1", "unit": "", "low": 0, "high": 14, "accuracy": 0.1}, "ph"),
        # Beyond what a common sensor reports, within the limits of the quantity.
        ({"name": "temperature_1", "unit": "degC", "low": 200}, "temperature"),
        ({"name": "temperature_1", "unit": "degC", "high": -50}, "temperature"),
        ({"name": "pressure_1", "unit": "bar", "low": 1.5}, "pressure"),
    ],
)
def test_a_feature_of_which_enough_is_known_is_taken(fields: dict[str, object], quantity: str) -> None:
    """A known quantity in a unit that can be converted needs no more, others need all."""
    assert FeatureSettings.model_validate(fields).measured_quantity == quantity


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "Temperature", "unit": "degC"}, "name\n"),
        ({"name": "", "unit": "degC"}, "name\n"),
        ({"name": "label", "unit": "degC"}, "'label' is a column of recordings that is no feature"),
        ({"name": "ph_1", "unit": "", "low": 0, "high": 14}, "ph_1: nothing is known of sensors of ph in ''"),
        ({"name": "vibration_1", "unit": "g"}, "write its low, high and accuracy"),
        ({"name": "vibration_1", "unit": "g"}, "vibration (mm/s, m/s, in/s), current (A, mA), "),
        ({"name": "temperature_1", "unit": "degC", "low": 30, "high": 3}, "low 30 must be below high 3"),
        ({"name": "temperature_1", "unit": "degC", "high": -150}, "low -100 must be below high -150"),
        ({"name": "temperature_1", "unit": "degC", "accuracy": 0}, "accuracy\n"),
        ({"name": "temperature_1", "unit": "degC", "low": "nan"}, "low\n"),
        ({"name": "temperature_1", "unit": "degC", "range": 1}, "range\n"),
    ],
)
def test_a_feature_that_breaks_a_rule_is_refused(fields: dict[str, object], message: str) -> None:
    """The error says which rule, and what to write."""
    with pytest.raises(ValidationError) as error:
        FeatureSettings.model_validate(fields)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([], "there are none"),
        ([("temperature_1", "degC"), ("temperature_1", "degC")], "temperature_1 is named twice"),
        (
            [("temperature_1", "degC"), ("temperature_2", "degF")],
            "temperature_1 is in 'degC' and temperature_2 in 'degF'; expected one unit",
        ),
    ],
)
def test_features_that_do_not_go_together_are_refused(features: list[tuple[str, str]], message: str) -> None:
    """Names are distinct, and neighbours have one unit: degC and degF are never compared."""
    with pytest.raises(ValueError, match=message):
        check_features([FeatureSettings(name=name, unit=unit) for name, unit in features])
    check_features([FeatureSettings(name="temperature_1", unit="degF")])
