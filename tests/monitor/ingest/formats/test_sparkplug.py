import re
import struct
from typing import Any

import pytest
from hypothesis import given

from monitor.ingest.formats.sparkplug import SparkplugFormat
from monitor.ingest.formats.sparkplug_schema import DataType
from tests.monitor.ingest.formats.any_bytes import ANY_BYTES, check_any_bytes, mutations
from tests.support.sparkplug_messages import BYTES, DATA_SET, TEMPLATE, Metric, encode_payload

FORMAT = SparkplugFormat()


def parse_metric(metric: Metric) -> dict[str, Any]:
    """Return the metric as the format reads it."""
    (content,) = FORMAT.parse(encode_payload([metric]))["metrics"]
    assert isinstance(content, dict)
    return content


def test_birth() -> None:
    """A birth message gives time, sequence number, and all of each metric."""
    payload = encode_payload(
        [
            Metric("bdSeq", 3, DataType.INT64),
            Metric("Temp/Top", 21.5, DataType.FLOAT, alias=7, timestamp=1_790_000_000_123, quality=192),
            Metric("Temp/Low", None, DataType.DOUBLE, alias=8, is_historical=True),
        ],
        timestamp=1_790_000_000_456,
        seq=0,
    )
    common = {
        "alias": None,
        "timestamp": None,
        "is_historical": False,
        "is_null": False,
        "is_unsupported": False,
    }
    assert FORMAT.parse(payload) == {
        "timestamp": 1_790_000_000_456,
        "seq": 0,
        "metrics": [
            common | {"name": "bdSeq", "datatype": 4, "value": 3, "quality": None},
            common
            | {"name": "Temp/Top", "datatype": 9, "value": 21.5, "quality": 192}
            | {"alias": 7, "timestamp": 1_790_000_000_123},
            common
            | {"name": "Temp/Low", "datatype": 10, "value": None, "quality": None}
            | {"alias": 8, "is_historical": True, "is_null": True},
        ],
    }


def test_bytes_on_the_wire() -> None:
    """The fields have the numbers of the specification's schema."""
    metric = b"\x0a\x01T\x10\x07\x18\x05\x20\x03\x28\x01\x50\xfb\xff\xff\xff\x0f"
    quality = b"\x0a\x07Quality\x12\x05\x08\x03\x18\xc0\x01"
    metric += (
        b"\x4a" + bytes([len(quality)]) + quality + b"\x42\x02\x08\x01"
    )  # and metadata, which is skipped
    assert FORMAT.parse(b"\x08\x09\x12" + bytes([len(metric)]) + metric + b"\x18\x02") == {
        "timestamp": 9,
        "seq": 2,
        "metrics": [
            {
                "name": "T",
                "alias": 7,
                "timestamp": 5,
                "datatype": 3,
                "is_historical": True,
                "is_null": False,
                "value": -5,
                "is_unsupported": False,
                "quality": 192,
            }
        ],
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"\x65" + struct.pack("<f", 21.5), 21.5),
        (b"\x69" + struct.pack("<d", 21.4), 21.4),
        (b"\x58\x96\x01", 150),
        (b"\x70\x01", True),
        (b"\x7a\x02on", "on"),
    ],
    ids=["float", "double", "long", "boolean", "string"],
)
def test_value_fields(field: bytes, value: object) -> None:
    """Each kind of value has the field number of the specification's schema."""
    (metric,) = FORMAT.parse(b"\x12" + bytes([len(field)]) + field)["metrics"]
    assert (metric["value"], type(metric["value"])) == (value, type(value))


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        (DataType.INT8, -5),
        (DataType.INT8, 127),
        (DataType.INT16, -32768),
        (DataType.INT32, -1),
        (DataType.INT64, -(2**63)),
        (DataType.INT64, 5),
        (DataType.UINT8, 255),
        (DataType.UINT32, 2**32 - 1),
        (DataType.UINT64, 2**64 - 1),
        (DataType.DATE_TIME, 1_790_000_000_000),
        (DataType.BOOLEAN, True),
        (DataType.BOOLEAN, False),
        (DataType.STRING, "unavailable"),
        (DataType.TEXT, ""),
        (DataType.DOUBLE, -0.1),
    ],
)
def test_value(datatype: int, value: float | str) -> None:
    """Each type of number, booleans and text are read as they were sent."""
    content = parse_metric(Metric("m", value, datatype))["value"]
    assert (content, type(content)) == (value, type(value))


def test_int8_in_eight_bits() -> None:
    """A negative Int8 that was sent as 8 bits is read like one of 32 bits."""
    assert parse_metric(Metric("m", 0xFB, DataType.INT8))["value"] == -5


@pytest.mark.parametrize(("datatype", "value"), [(BYTES, b"\x01"), (DATA_SET, None), (TEMPLATE, None)])
def test_unsupported(datatype: int, value: bytes | None) -> None:
    """Bytes, datasets and templates are marked, and have no value."""
    content = parse_metric(Metric("m", value, datatype))
    assert (content["value"], content["is_unsupported"], content["is_null"]) == (None, True, False)


def test_alias_alone() -> None:
    """Data may consist of alias and value; without a type an integer stays as it is on the wire."""
    content = parse_metric(Metric(alias=0, value=-5, datatype=DataType.INT32, sends_datatype=False))
    assert (content["name"], content["alias"], content["datatype"]) == ("", 0, 0)
    assert content["value"] == 2**32 - 5


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"21.4", "no Sparkplug B payload: "),
        (b'{"timestamp": 1}', "no Sparkplug B payload: "),
        (b"\x12\x7f", "no Sparkplug B payload: "),
        (b"\x12\x03\x7a\x01\xff", "no Sparkplug B payload: a name or a text is no UTF-8"),
        (b"\x12\x03\x0a\x01\xff", "no Sparkplug B payload: a name or a text is no UTF-8"),
        (encode_payload([], uuid="SPBV1.0_COMPRESSED"), "the payload is compressed"),
        (b"\x12\x00" * 500_000, "500000 metrics in a payload; expected at most 50000"),
    ],
    ids=["text", "json", "truncated", "text-no-utf-8", "name-no-utf-8", "compressed", "many"],
)
def test_reason(payload: bytes, reason: str) -> None:
    """What is no Sparkplug B payload raises ValueError with what is wrong."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        FORMAT.parse(payload)


def test_empty() -> None:
    """A death message may be empty."""
    assert FORMAT.parse(b"") == {"timestamp": None, "seq": None, "metrics": []}


@ANY_BYTES
@given(
    payload=mutations(
        encode_payload([Metric("a", 21.5, alias=1, quality=192), Metric("b", -5, DataType.INT8)], 5, 6),
        encode_payload([Metric("c", "on", DataType.STRING), Metric("d", b"e", BYTES), Metric("f")]),
    )
)
def test_any_bytes(payload: bytes) -> None:
    """Any bytes give a payload or a reason."""
    check_any_bytes(FORMAT, payload)
