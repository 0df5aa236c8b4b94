"""What `discover` proposes for plants that don't send the features of the bundle."""

import json
from pathlib import Path

from msgspec import structs

from monitor.cli.discover.proposal import propose
from tests.monitor.cli.discover.plant import MANIFEST, START, read_settings, survey, words

ANY_FEATURES = structs.replace(MANIFEST, judges="sensor")


def _messages(*names: str) -> list[tuple[float, tuple[str, bytes]]]:
    return [
        (
            START + 10 * step,
            (f"pumps/p{pump}/state", json.dumps({"ts": START + 10 * step, **values}).encode()),
        )
        for step in range(6)
        for pump in (1, 2)
        for values in [{name: 4 + pump + step / 10 + n / 100 for n, name in enumerate(names)}]
    ]


def test_pairs_of_other_quantities(tmp_path: Path) -> None:
    """Pairs of vibration and current are proposed as features, with their unit to be looked at."""
    found = survey(_messages("vib_de", "vib_nde", "current_a", "current_b", "battery_voltage"))
    text = propose(found, words(), ANY_FEATURES)
    settings = read_settings(text, tmp_path)
    assert [(feature.name, feature.unit) for feature in settings.features] == [
        ("vibration_1", "mm/s"),
        ("vibration_2", "mm/s"),
        ("current_1", "A"),
        ("current_2", "A"),
    ]
    assert settings.input.fields == {
        "vibration_1": "vib_de",
        "vibration_2": "vib_nde",
        "current_1": "current_a",
        "current_2": "current_b",
    }
    assert 'unit = "mm/s"  # decide: is it?' in text


def test_three_temperatures(tmp_path: Path) -> None:
    """A group with more sensors of a quantity than the bundle has features gets features for all."""
    found = survey(_messages("temp_top", "temp_middle", "temp_bottom"))
    settings = read_settings(propose(found, words(), ANY_FEATURES), tmp_path)
    assert [feature.name for feature in settings.features] == [f"temperature_{n}" for n in (1, 2, 3)]


def test_lone_value(tmp_path: Path) -> None:
    """A plant with one value only gets it as a feature."""
    settings = read_settings(propose(survey(_messages("pressure")), words(), ANY_FEATURES), tmp_path)
    assert [feature.name for feature in settings.features] == ["pressure_1"]


def test_bundle_of_windows(tmp_path: Path) -> None:
    """A bundle that judges windows takes no other features, so none are proposed."""
    text = propose(
        survey(_messages("vib_de", "vib_nde")), words(), structs.replace(MANIFEST, judges="window")
    )
    assert not read_settings(text, tmp_path).features
    assert "nothing gives a group all of temperature_1" in text
