import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monitor.bundle import Feature
from monitor.core.errors import InvalidInputError
from monitor.core.quantity_defaults import QUANTITY_DEFAULTS
from tests.support.training_features import FEATURE_NAMES, FEATURES
from training.cli.main import main
from training.data import recordings
from training.data.plant_kinds import DEFAULT_KIND, PLANT_KINDS
from training.data.simulate import DEFAULT_START, Plant, simulate
from training.faults.inject import inject

PLANT = Plant(groups=2, seed=5, start=DEFAULT_START, features=FEATURES)


def test_readings_do_not_depend_on_the_interval() -> None:
    """Two consecutive intervals have the same readings as one that covers both."""
    parts = [simulate(PLANT, 0, 0.5), simulate(PLANT, 0.5, 0.25)]
    whole = simulate(PLANT, 0, 0.75)
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)


def test_a_seed_is_a_plant() -> None:
    """The same seed gives the same readings, another seed others."""
    assert simulate(PLANT, 0, 0.1).equals(simulate(PLANT, 0, 0.1))
    assert not simulate(PLANT, 0, 0.1).equals(simulate(Plant(2, 6, DEFAULT_START, FEATURES), 0, 0.1))


def test_the_sensors_of_a_pair_agree() -> None:
    """Two motes of a pair differ by far less than a fault, and humidity falls as temperature rises."""
    frame = simulate(PLANT, 0, 6)
    group_frame = frame[frame["group"] == "line1/station2"]
    assert np.abs(group_frame["temperature_1"] - group_frame["temperature_2"]).max() < 0.4
    assert np.abs(group_frame["humidity_1"] - group_frame["humidity_2"]).max() < 3
    assert np.corrcoef(group_frame["temperature_1"], group_frame["humidity_1"])[0, 1] < 0


def test_the_frame_is_a_recording() -> None:
    """Each group has a reading every 5 s from the start on, all labelled Normal."""
    frame = simulate(PLANT, 0, 0.1)
    assert frame["group"].tolist()[:3] == ["line1/station1", "line1/station2", "line1/station1"]
    assert frame["ts"].tolist()[:3] == [DEFAULT_START.timestamp() + offset_s for offset_s in (0, 0, 5)]
    assert len(frame) == 2 * 72
    assert (frame["label"] == 1).all()


def test_the_default_plant_stays_what_it_is() -> None:
    """The default plant is the same to the last digit as in the first version."""
    text = simulate(Plant(6, 0, DEFAULT_START, FEATURES), 0, 6).to_csv(index=False)
    assert (
        hashlib.sha256(text.encode()).hexdigest()
        == "2e6ab4c6166ddcf23acd713079e8e3236b464110159cda5195b7446f440f211b"
    )


@pytest.mark.parametrize("kind", PLANT_KINDS)
def test_every_plant_kind_matches_its_spec(kind: str) -> None:
    """Sample period, decimals and range are those of the kind, and two motes of a pair agree."""
    climate, sensors = PLANT_KINDS[kind]
    plant = Plant(2, 3, DEFAULT_START, FEATURES, kind)
    frame = simulate(plant, 0, 8)
    group_frame = frame[frame["group"] == "line1/station1"]
    assert (group_frame["ts"].diff().dropna() == sensors.sample_period).all()
    values = frame[FEATURE_NAMES].to_numpy()
    np.testing.assert_array_equal(values, np.round(values, sensors.decimals))
    temperature = group_frame["temperature_1"]
    max_deviation = (
        climate.daily_amplitude[1]
        + 4 * (climate.weather_std + climate.short_term_std)
        + climate.batch_heating
        + 3
    )
    assert (
        climate.temperature[0] - max_deviation
        < temperature.min()
        < temperature.max()
        < climate.temperature[1] + max_deviation
    )
    assert frame["humidity_1"].between(0, 100).all()
    assert np.abs(group_frame["temperature_1"] - group_frame["temperature_2"]).max() < 2
    assert np.corrcoef(group_frame["temperature_1"], group_frame["temperature_2"])[0, 1] > 0.9
    parts = pd.concat([simulate(plant, 0, 5), simulate(plant, 5, 3)], ignore_index=True)
    pd.testing.assert_frame_equal(parts, frame)


@pytest.mark.parametrize("kind", PLANT_KINDS)
def test_every_kind_can_have_faults(kind: str) -> None:
    """Faults of all kinds can be injected into every kind of plant."""
    faulty_frame = inject(simulate(Plant(2, 3, DEFAULT_START, FEATURES, kind), 0, 8), FEATURES, 0.3, 0)
    assert len(set(faulty_frame["kind"])) == 1 + 6


def test_humidity_follows_from_the_air() -> None:
    """Humidity falls per degree by about as much as the saturation pressure of water rises."""
    for climate, _ in PLANT_KINDS.values():
        temperature = np.mean(climate.temperature) + climate.batch_heating / 2
        share = (
            17.62 * 243.12 / (243.12 + temperature) ** 2
        )  # relative rise of the saturation pressure per degree (Magnus)
        assert climate.humidity_per_degree == pytest.approx(-np.mean(climate.humidity) * share, rel=0.2)


def test_the_kind_is_a_flag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`simulate --kind` changes the plant, and an unknown kind is refused."""
    for kind in (DEFAULT_KIND, "cold-room"):
        main(["simulate", "--kind", kind, "--hours", "0.5", "--out", str(tmp_path / f"{kind}.csv")])
    assert recordings.read(tmp_path / "mild.csv", FEATURE_NAMES)["temperature_1"].min() > 15
    assert recordings.read(tmp_path / "cold-room.csv", FEATURE_NAMES)["temperature_1"].max() < 10
    with pytest.raises(SystemExit):
        main(["simulate", "--kind", "volcano", "--out", str(tmp_path / "volcano.csv")])
    assert "cold-room" in capsys.readouterr().err


def _simulate_features(*features: Feature) -> pd.DataFrame:
    return simulate(Plant(2, 5, DEFAULT_START, features), 0, 2)


@pytest.mark.parametrize("quantity", QUANTITY_DEFAULTS)
def test_every_known_quantity_can_be_simulated(quantity: str) -> None:
    """Sensors of a quantity agree within their accuracies, vary, and stay in their measuring range."""
    defaults = QUANTITY_DEFAULTS[quantity]
    frame = _simulate_features(*(Feature(f"{quantity}_{number}", defaults.unit) for number in (1, 2, 3)))
    values = frame[[f"{quantity}_{number}" for number in (1, 2, 3)]].to_numpy()
    assert np.ptp(values, axis=1).max() < 2 * defaults.accuracy
    assert (values.std(axis=0) > 0).all()
    assert defaults.measuring_range[0] <= values.min() < values.max() <= defaults.measuring_range[1]


def test_units_are_converted() -> None:
    """The same plant in other units has the same readings, but for rounding."""
    usual = _simulate_features(Feature("temperature_1", "degC"), Feature("pressure_1", "hPa"))
    other = _simulate_features(Feature("temperature_1", "degF"), Feature("pressure_1", "bar"))
    np.testing.assert_allclose(other["temperature_1"], usual["temperature_1"] * 1.8 + 32, atol=0.02)
    np.testing.assert_allclose(other["pressure_1"], usual["pressure_1"] / 1000, atol=1e-4)


def test_an_unknown_quantity_is_refused() -> None:
    """What can't be simulated is said, with what can."""
    with pytest.raises(InvalidInputError, match=r"ph_1: ph in '' can't be simulated, expected one of temp"):
        _simulate_features(Feature("ph_1", "", low=0.0, high=14.0, accuracy=0.1))
