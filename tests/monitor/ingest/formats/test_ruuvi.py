import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.ingest.formats.ruuvi import RuuviFormat

FLAGS, HEADER = "020106", "1BFF9904"
# The test vectors of Ruuvi's specification of data format 5.
VALID = "0512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F"
MAXIMUM = "057FFFFFFEFFFE7FFF7FFF7FFFFFDEFEFFFECBB8334C884F"
MINIMUM = "058001000000008001800180010000000000CBB8334C884F"
INVALID = "058000FFFFFFFF800080008000FFFFFFFFFFFFFFFFFFFFFF"
MAC = "CB:B8:33:4C:88:4F"
NAMES = (
    "temperature", "humidity", "pressure", "acceleration_x", "acceleration_y", "acceleration_z", "battery",
    "tx_power", "movement", "sequence", "mac",
)  # fmt: skip


def parse(data: Any, **fields: Any) -> dict[str, Any]:
    """Parse a message of a gateway."""
    message = {
        "gw_mac": "C8:25:2D:8E:9C:2C",
        "rssi": -61,
        "aoa": [],
        "gwts": 1_790_000_002,
        "ts": 1_790_000_001,
    }
    return RuuviFormat().parse(json.dumps({**message, "data": data, "coords": "", **fields}).encode())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (VALID, (24.3, 53.49, 100044, 0.004, -0.004, 1.036, 2.977, 4, 66, 205, MAC)),
        (MAXIMUM, (163.835, 163.835, 115534, 32.767, 32.767, 32.767, 3.646, 20, 254, 65534, MAC)),
        (MINIMUM, (-163.835, 0, 50000, -32.767, -32.767, -32.767, 1.6, -40, 0, 0, MAC)),
        (INVALID, (None,) * 11),
    ],
    ids=["valid", "maximum", "minimum", "invalid"],
)
def test_specification(content: str, expected: tuple[Any, ...]) -> None:
    """The specification's test vectors give its values; what the tag marks as invalid is None."""
    result = parse(FLAGS + HEADER + content)
    for name, value in zip(NAMES, expected, strict=True):
        assert result[name] == (pytest.approx(value) if isinstance(value, float) else value), name


def test_envelope() -> None:
    """What the gateway adds is kept, the digits are not; times in quotes become numbers."""
    result = parse(FLAGS + HEADER + VALID, ts="1790000001", gwts="1790000002")
    assert {name: value for name, value in result.items() if name not in NAMES} == {
        "gw_mac": "C8:25:2D:8E:9C:2C",
        "rssi": -61,
        "aoa": [],
        "gwts": 1_790_000_002,
        "ts": 1_790_000_001,
        "coords": "",
    }


def test_other_structures() -> None:
    """Ruuvi's structure is found wherever it is in the advertisement, in lower case too."""
    other = "04FF4C0002"  # of another manufacturer
    assert parse((other + FLAGS + HEADER + VALID + "00").lower())["temperature"] == 24.3


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "no message of a Ruuvi gateway"),
        ("02010G", "something else than hexadecimal digits"),
        ("", "no advertisement of Ruuvi"),
        ("04FF4C0002", "no advertisement of Ruuvi"),
        (FLAGS + HEADER + VALID[:-2], "ends within a structure"),
        (FLAGS + "03FF9904", "no data"),
        (FLAGS + "11FF990403" + "00" * 13, "data format 3 of 14 bytes"),
        (FLAGS + "1AFF9904" + VALID[:-2], "data format 5 of 23 bytes"),
    ],
)
def test_refused(data: Any, reason: str) -> None:
    """Anything else is refused, with what was expected."""
    with pytest.raises(ValueError, match=reason) as error:
        parse(data)
    assert "data format 5 (RAWv2)" in str(error.value)


@pytest.mark.parametrize("payload", [b"", b"[]", b"3", b'"x"'])
def test_no_object(payload: bytes) -> None:
    """A payload that is no object is refused."""
    with pytest.raises(ValueError, match=r"JSON|Ruuvi"):
        RuuviFormat().parse(payload)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.binary(max_size=40))
def test_any_bytes(advertisement: bytes) -> None:
    """Whatever was heard is read or refused as it is."""
    with suppress(ValueError):
        assert set(NAMES) <= parse(advertisement.hex()).keys()
