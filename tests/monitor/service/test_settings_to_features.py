"""The features that settings describe, on a bundle that judges sensor by sensor and on one that doesn't."""

from pathlib import Path

import numpy as np
import pytest

from monitor import bundle
from monitor.bundle import Bundle
from monitor.cli.main import main
from monitor.config.feature_settings import FeatureSettings
from monitor.config.settings import AlertSettings, WindowSettings
from monitor.core.arrays import FloatArray
from monitor.core.errors import ConfigurationError
from monitor.core.readings import Readings
from monitor.detect.scoring import ScoredBatch
from monitor.service.settings_to_features import adapt_to_features, describe_features
from monitor.service.settings_to_stages import build_scoring
from tests.support.toy_bundle import save_toy_bundle, save_toy_sensor_bundle

CONFIG = """
bundle = "{bundle}"
[http]
port = 0
[store]
path = "{folder}/state.db"
"""
VIBRATIONS = "".join(f'[[features]]\nname = "vibration_{end}"\nunit = "mm/s"\n' for end in ("de", "nde"))
PRESSURE = '[[features]]\nname = "pressure_1"\nunit = "bar"\n'


def _features(*names: str, unit: str = "mm/s", **others: object) -> list[FeatureSettings]:
    return [FeatureSettings(name=name, unit=unit, **others) for name in names]  # type: ignore[arg-type]


@pytest.fixture
def sensor_bundle(tmp_path: Path) -> Bundle:
    """The toy bundle that judges sensor by sensor."""
    save_toy_sensor_bundle(tmp_path / "sensor")
    return bundle.load(tmp_path / "sensor")


def _judge(loaded: Bundle, values: FloatArray) -> ScoredBatch:
    """Judge the readings of one group (reading, feature), one every 5 s."""
    scoring = build_scoring(loaded, WindowSettings(), AlertSettings())
    count = len(values)
    never = np.full(count, np.inf)
    redelivered = np.zeros(count, dtype=np.bool_)
    return scoring.judge(
        Readings(["a"] * count, 1e6 + 5.0 * np.arange(count), values, never, never, redelivered)
    )


def _draw(count: int, columns: int) -> FloatArray:
    return np.round(4 + np.random.default_rng(0).normal(0, 0.02, (count, columns)), 3)


def test_bundle_judges_other_features(sensor_bundle: Bundle) -> None:
    """A triple and a pair of other quantities are judged: the fault of one sensor is found and named."""
    features = [
        *_features("vibration_1", "vibration_2", "vibration_3"),
        *_features("current_1", "current_2", unit="A"),
    ]
    loaded = adapt_to_features(features, sensor_bundle)
    assert loaded.manifest.baseline is not None
    assert loaded.manifest.baseline.floors == (0.1,) * 5
    assert set(loaded.manifest.ranges.values()) == {(-4.0, 4.0)}
    values = _draw(60, 5)
    healthy = _judge(loaded, values)
    assert not healthy.judged_windows.faulty.any()
    values[40:, 1] += 3.0
    (event,) = _judge(loaded, values).events
    assert event.window_ts[-1] == 1e6 + 5 * 40
    assert event.reason == "vibration_2 reads 6.99 mm/s, its neighbours 3.97 to 3.99"
    assert event.contributions is not None
    assert int(np.argmax(event.contributions)) == 1


def test_known_features_keep_what_the_bundle_knows(sensor_bundle: Bundle) -> None:
    """Features that the bundle was trained on keep floor, range and distribution, in any order."""
    features = [*_features("humidity_1", "humidity_2", unit="%RH"), *_features("flow_1", unit="L/min")]
    manifest = adapt_to_features(features, sensor_bundle).manifest
    own = sensor_bundle.manifest
    assert manifest.baseline is not None
    assert manifest.baseline.floors == (0.5, 0.5, 0.2)
    assert [*manifest.ranges.values()] == [own.ranges["humidity_1"], own.ranges["humidity_2"], (-4.0, 4.0)]
    assert own.distribution is not None
    assert manifest.distribution == {name: own.distribution[name] for name in ("humidity_1", "humidity_2")}


def test_accuracy_makes_the_floor(sensor_bundle: Bundle) -> None:
    """A fifth of the accuracy that a setting gives is the floor, of known and of unknown quantities."""
    features = [
        *_features("temperature_1", "temperature_2", unit="degC", accuracy=2.0),
        *_features("torque_1", "torque_2", unit="Nm", accuracy=5.0, low=0.0, high=900.0),
    ]
    loaded = adapt_to_features(features, sensor_bundle)
    assert loaded.manifest.baseline is not None
    assert loaded.manifest.baseline.floors == pytest.approx((0.4, 0.4, 1.0, 1.0))


def test_lone_feature_is_judged_by_spikes(sensor_bundle: Bundle) -> None:
    """A step of a feature without neighbours is the plant's; a value that sticks out is Faulty."""
    loaded = adapt_to_features(_features("vibration_1"), sensor_bundle)
    values = _draw(80, 1)
    values[40:] += 3.0
    step = _judge(loaded, values)
    assert not step.judged_windows.faulty.any()
    assert not step.judged_windows.out_of_range.any()
    values[60] = 30.0
    spike = _judge(loaded, values)
    assert spike.judged_windows.ts[spike.judged_windows.faulty].tolist() == [
        [1e6 + 5 * number for number in (59, 60, 61)]
    ]
    (event,) = (event for event in spike.events if event.status == "firing")
    assert event.reason == "vibration_1 reads 30 mm/s"
    assert event.contributions_by_step is not None
    assert np.array(event.contributions_by_step)[:, 0] == pytest.approx([0, 1, 0])


def test_window_bundle_takes_limits(tmp_path: Path) -> None:
    """A bundle that judges windows takes other limits of its own features, and keeps their order."""
    save_toy_bundle(tmp_path / "window")
    loaded = bundle.load(tmp_path / "window")
    features = [
        *_features("temperature_2", "temperature_1", unit="degC", low=-20.0, high=60.0),
        *_features("humidity_1", "humidity_2", unit="%RH"),
    ]
    manifest = adapt_to_features(features, loaded).manifest
    assert manifest.feature_names == loaded.manifest.feature_names
    assert [feature.limits for feature in manifest.features] == [(-20.0, 60.0), (-5.0, 110.0)] * 2


@pytest.mark.parametrize(
    "features",
    [
        _features("vibration_1", "vibration_2"),
        _features("temperature_1", "temperature_2", unit="degC"),
        [
            *_features("temperature_1", "temperature_2", unit="degF"),
            *_features("humidity_1", "humidity_2", unit="%RH"),
        ],
        [
            *_features("temperature_1", "temperature_2", "temperature_3", unit="degC"),
            *_features("humidity_1", "humidity_2", unit="%RH"),
        ],
    ],
    ids=["others", "too few", "other unit", "too many"],
)
def test_window_bundle_refuses_other_features(tmp_path: Path, features: list[FeatureSettings]) -> None:
    """A bundle that judges windows can't judge features that it was not trained on."""
    save_toy_bundle(tmp_path / "window")
    with pytest.raises(ConfigurationError, match="was trained on temperature_1, humidity_1, temperature_2"):
        adapt_to_features(features, bundle.load(tmp_path / "window"))


def test_lone_features_are_named(sensor_bundle: Bundle) -> None:
    """The description has each feature's limits and unit, and says which have no neighbour."""
    features = [*_features("vibration_1", "vibration_2"), *_features("pressure_1", unit="bar")]
    assert list(describe_features(adapt_to_features(features, sensor_bundle).manifest)) == [
        "vibration_1: -1 to 1000 mm/s",
        "vibration_2: -1 to 1000 mm/s",
        "pressure_1: -1.1 to 1000 bar",
        "pressure_1 has no neighbour: only limits, spikes and stillness can be found",
    ]


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (PRESSURE.replace("bar", "furlong"), "write its low, high and accuracy, or a quantity and unit that"),
        (VIBRATIONS.replace("mm/s", "in/s", 1), "expected one unit for all features of vibration"),
        (VIBRATIONS + VIBRATIONS, "vibration_de is named twice, expected distinct names"),
    ],
    ids=["unknown", "mixed units", "twice"],
)
def test_wrong_features_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], features: str, expected: str
) -> None:
    """Unknown quantities without accuracy, mixed units and repeated names: exit code 2 and one line."""
    save_toy_sensor_bundle(tmp_path / "sensor")
    config = tmp_path / "monitor.toml"
    config.write_text(CONFIG.format(bundle=tmp_path / "sensor", folder=tmp_path) + features)
    assert main(["check", "--config", str(config)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert expected in error


def test_check_says_what_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check` prints the features with unit and limits, and what of a lone one can be found."""
    save_toy_sensor_bundle(tmp_path / "sensor")
    config = tmp_path / "monitor.toml"
    config.write_text(CONFIG.format(bundle=tmp_path / "sensor", folder=tmp_path) + VIBRATIONS + PRESSURE)
    assert main(["check", "--config", str(config)]) == 0
    output = capsys.readouterr().out
    assert "judged sensor by sensor" in output
    assert "vibration_nde: -1 to 1000 mm/s" in output
    assert "pressure_1 has no neighbour: only limits, spikes and stillness can be found" in output


def test_backtest_follows_the_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`backtest` judges a recording of the features that the settings name."""
    save_toy_sensor_bundle(tmp_path / "sensor")
    config, recording = tmp_path / "monitor.toml", tmp_path / "machine.csv"
    config.write_text(CONFIG.format(bundle=tmp_path / "sensor", folder=tmp_path) + VIBRATIONS)
    values = _draw(60, 2)
    values[50, 0] = 9.0
    rows = [f"{1_000_000 + 5 * n},m1,{a},{b}" for n, (a, b) in enumerate(values.tolist())]
    recording.write_text("\n".join(["ts,group,vibration_de,vibration_nde", *rows]) + "\n")
    arguments = ["--config", str(config), "--recording", str(recording), "--out", str(tmp_path / "o.csv")]
    assert main(["backtest", *arguments]) == 0
    predictions = [line.split(",")[4] for line in (tmp_path / "o.csv").read_text().splitlines()[1:]]
    assert [n for n, name in enumerate(predictions) if name == "Faulty"] == [50, 51, 52]
    capsys.readouterr()
