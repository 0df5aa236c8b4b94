"""What names say about values."""

import pytest

from monitor.cli.discover.words import Label, Words, natural_key
from tests.monitor.cli.discover.plant import words


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["temperature_1"], Label("temperature", 1.0, "")),
        (["Ch1", "Rack3", "TempTop"], Label("temperature", 0.0, "Ch1/Rack3")),
        (["rack3_bottom_humidity"], Label("humidity", 1.0, "rack3")),
        (["params", "temperature:100", "tC"], Label("temperature", 100.0, "params/C")),
        (["params", "temperature:100", "tF"], Label("temperature", 100.0, "params/F", is_fahrenheit=True)),
        (["SHT3X-0x44", "Humidity"], Label("humidity", None, "SHT3X-0x44")),
        (["DS18B20", "Temperature"], Label("temperature", None, "DS18B20")),
        (["rack3_temperature_2"], Label("temperature", 2.0, "rack3")),
        (["h2"], Label("humidity", 2.0, "")),
        (["TempA"], Label("temperature", 0.0, "")),
        (["outlet", "rh"], Label("humidity", 1.0, "")),
    ],
)
def test_label(parts: list[str], expected: Label) -> None:
    """Quantity, place and unit are found in names of the usual styles."""
    assert words().label(parts) == expected


@pytest.mark.parametrize(
    "parts",
    [
        ["device_temperature"], ["temperature_calibration"], ["DewPoint"], ["temperature:100", "id"],
        ["pressure"],
        ["CPU", "temp"], ["that"], ["target_temp"], ["temperature_unit"],
    ],
)  # fmt: skip
def test_other_values(parts: list[str]) -> None:
    """Values that are no sensors of the plant have no label, though their names have such words."""
    assert words().label(parts) is None


def test_quantities_of_other_bundles() -> None:
    """A quantity that isn't known here is found by its own name."""
    assert Words(["vibration"]).label(["motor", "vibration_3"]) == Label("vibration", 3.0, "motor")


def test_natural_order() -> None:
    """Numbers in names count as numbers."""
    assert sorted(["s10", "s9", "s1"], key=natural_key) == ["s1", "s9", "s10"]
