import re
import tomllib
from pathlib import Path

import pytest

from monitor.config.feature_settings import FeatureSettings
from monitor.core.errors import InvalidInputError
from tests.conftest import ROOT
from training.cli.main import main
from training.config.initializers import INITIALIZERS
from training.config.loading import load_settings
from training.config.settings import FitSettings

CONFIG = ROOT / "config" / "training.toml"


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """Return a settings file whose values differ from the defaults."""
    path = tmp_path / "training.toml"
    path.write_text('epochs = 7\nunits = [8, 4, 2]\nnetwork = "dense"\n')
    return path


def test_every_setting_is_documented() -> None:
    """config/training.toml has each setting with its default, and nothing else."""
    top_level = CONFIG.read_text().partition("[[features]]")[0]
    named = re.findall(r"^(\w+) = ", top_level, flags=re.MULTILINE)
    assert {*named, "features"} == set(FitSettings.model_fields)
    for name in FeatureSettings.model_fields:
        assert re.search(rf"^#   .*\b{name}\b", top_level, flags=re.MULTILINE)
    assert load_settings(CONFIG) == FitSettings()


def test_every_setting_is_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    """`fit --help` lists a flag for each setting but the features, which are a table."""
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    output = capsys.readouterr().out
    for name in set(FitSettings.model_fields) - {"features"}:
        assert f"--{name.replace('_', '-')} V" in output


def test_flag_over_environment_over_file_over_default(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag beats the environment, which beats the file, which beats the default."""
    assert load_settings(None).epochs == FitSettings().epochs
    assert load_settings(settings_file).epochs == 7
    monkeypatch.setenv("TRAINING_EPOCHS", "8")
    assert load_settings(settings_file).epochs == 8
    assert load_settings(settings_file, {"epochs": "9"}).epochs == 9
    assert load_settings(settings_file).network == "dense"


@pytest.mark.parametrize(
    ("given", "expected"), [("balanced", "balanced"), ("none", "none"), ("1,10", (1.0, 10.0))]
)
def test_flags_and_environment_take_lists(
    given: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flags and variables take numbers as in `64,32,16`, and a class weight as a word or two numbers."""
    assert load_settings(None, {"units": "64,32,16"}).units == (64, 32, 16)
    monkeypatch.setenv("TRAINING_CLASS_WEIGHT", given)
    monkeypatch.setenv("TRAINING_DROPOUT", "0.2,0.1")
    assert load_settings(None).class_weight == expected
    assert load_settings(None).dropout == (0.2, 0.1)


def test_the_notebooks_initializers_are_there() -> None:
    """All eight can be set for both kinds of weights, and orthogonal for the recurrent ones."""
    for name in INITIALIZERS:
        FitSettings(kernel_initializer=name, recurrent_initializer=name)
    assert len(INITIALIZERS) == 8
    assert load_settings(None, {"recurrent_initializer": "orthogonal"}).recurrent_initializer == "orthogonal"
    with pytest.raises(InvalidInputError, match="--kernel-initializer"):
        load_settings(None, {"kernel_initializer": "orthogonal"})


def test_initializers_may_differ_by_layer(tmp_path: Path) -> None:
    """A file takes a list, a flag takes text with commas; parameters are part of the text."""
    mix = ("glorot_uniform", "glorot_uniform", "he_normal", "random_normal(0, 0.1)")
    path = tmp_path / "mix.toml"
    path.write_text(
        'kernel_initializer = ["glorot_uniform", "glorot_uniform", "he_normal", "random_normal(0.0, 0.1)"]\n'
        'recurrent_initializer = "random_uniform(-0.2, 0.1)"\n'
    )
    settings = load_settings(path)
    assert settings.kernel_initializer == mix
    assert settings.recurrent_initializer == "random_uniform(-0.2, 0.1)"
    flag = "glorot_uniform, glorot_uniform,he_normal,random_normal(0.0,0.1)"
    assert load_settings(None, {"kernel_initializer": flag}).kernel_initializer == mix
    assert FitSettings.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    "text",
    [
        "he_normal,he_normal",
        "he_normal(0, 1)",
        "random_normal(0)",
        "random_normal(0, -1)",
        "random_normal(0, nan)",
        "random_uniform(1, 0)",
        "random_normal(0, 0.1",
        "he",
    ],
)
def test_wrong_initializers_are_refused(text: str) -> None:
    """Another number of layers, wrong parameters and unknown names are refused with the rule."""
    with pytest.raises(InvalidInputError, match="must be one initializer for all layers, or 4, one for each"):
        load_settings(None, {"kernel_initializer": text})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "epoch is an unknown setting; did you mean 'epochs'?"),
        ('epochs = "3"', "epochs must be a valid integer, not '3'"),
        ("epochs = 0", "epochs must be greater than or equal to 1, not 0"),
        ("epochs = true", "epochs must be a valid integer, not True"),
        ("units = [8, 4]", "units must be 3 numbers, such as 128,64,32"),
        ("dropout = 0.3", "dropout must be 2 numbers, such as 0.3,0.3"),
        ("dropout = [0.5, 1.0]", "dropout.1 must be less than 1, not 1.0"),
        ("learning_rate = nan", "learning_rate must"),
        ("learning_rate = 0", "learning_rate must be greater than 0, not 0"),
        ('split = "date"', "split must be 'time' or 'random', not 'date'"),
        ('network = "gru"', "network must be 'lstm', 'dense' or 'sensor-lstm', not 'gru'"),
        ('cleaning_scope = "faulty"', "cleaning_scope must be 'off', 'normal' or 'all'"),
        ("test_share = 1.0", "test_share must be less than 1"),
        ("validation_share = 0.0", "validation_share must be greater than 0"),
        ("class_weight = [1.0, 0.0]", "class_weight must be balanced, none, or two numbers above 0"),
        ("class_weight = 3", "class_weight must be balanced, none, or two numbers above 0"),
        ("features = []", "features: there are none"),
        ('features = [{unit = "degC"}]', "features.0.name is missing"),
        (
            'features = [{name = "ph_1", unit = ""}]',
            "features.0: ph_1: nothing is known of sensors of ph",
        ),
        ('features = [{name = "a_1", unit = "g", range = 3}]', "features.0.range is an unknown setting"),
        (
            'features = [{name = "temperature_1", unit = "degC"}, {name = "temperature_2", unit = "degF"}]',
            "expected one unit for all features of temperature",
        ),
        ("steps = 0", "steps must be greater than or equal to 1"),
        ("[fit]\nepochs = 3", "fit is an unknown setting"),
        ("epochs = ", "is not TOML"),
    ],
)
def test_a_wrong_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    """A wrong setting in the file is refused with the file, the setting and the rule."""
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(InvalidInputError) as error:
        load_settings(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("TRAINING_EPOCHS", "many", "environment TRAINING_EPOCHS: epochs must be a valid integer"),
        ("TRAINING_FEATURES", "temperature_1", "environment TRAINING_FEATURES: features must be JSON"),
        ("TRAINING_UNITS", "1,2,x", "environment TRAINING_UNITS: units.2 must be a valid integer"),
        (
            "TRAINING_EPOCH",
            "1",
            "environment TRAINING_EPOCH: unknown setting; did you mean",
        ),
    ],
)
def test_a_wrong_variable_is_refused(
    variable: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong setting in the environment is refused with the name of the variable."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        load_settings(None)


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--batch-size", "0", "--batch-size must be greater than or equal to 1, not '0'"),
        ("--units", "3,2", "--units must be 3 numbers, such as 128,64,32"),
        ("--units", "8", "--units must be 3 numbers, such as 128,64,32"),
        ("--dropout", "0,0,0", "--dropout must be 2 numbers, such as 0.3,0.3"),
        ("--class-weight", "-1,2", "--class-weight must be balanced, none, or two numbers above 0"),
        ("--config", "none.toml", "none.toml: can't be read"),
        ("--bundle", "", "--bundle: must name a folder, not ''"),
    ],
)
def test_a_wrong_flag_is_one_line_and_exit_2(
    flag: str, value: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong flag is refused with its name before any data are read."""
    with pytest.raises(SystemExit) as exit_info:
        main(["fit", "--recording", "none.csv", "--bundle", str(tmp_path / "b"), f"{flag}={value}"])
    assert exit_info.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_settings_come_back_from_the_manifest() -> None:
    """Settings survive the JSON of a manifest, so a bundle's training can be repeated."""
    settings = FitSettings(class_weight=(1.0, 3.0), units=(8, 4, 2))
    assert FitSettings.model_validate(settings.model_dump(mode="json")) == settings
    assert tomllib.loads(CONFIG.read_text())["units"] == [128, 64, 32]


def test_sizes_follow_the_network() -> None:
    """A network of sensors is small unless sizes are given, and it needs a baseline."""
    settings = FitSettings(network="sensor-lstm")
    assert (settings.units, settings.dropout, settings.judges) == ((16, 8, 8), (0, 0), "sensor")
    assert load_settings(None, {"network": "sensor-lstm"}).units == (16, 8, 8)
    assert load_settings(None, {"network": "sensor-lstm", "units": "8,6,4"}).units == (8, 6, 4)
    assert FitSettings().units == (128, 64, 32)
    with pytest.raises(InvalidInputError, match="network sensor-lstm judges deviations from a baseline"):
        load_settings(None, {"network": "sensor-lstm", "baseline": "none"})
