import re
import struct
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given

from monitor.ingest.formats.msgpack import MsgpackFormat
from tests.monitor.ingest.formats.any_bytes import ANY_BYTES, check_any_bytes, mutations

FORMAT = MsgpackFormat()


@pytest.mark.parametrize(
    ("payload", "content"),
    [
        (b"\x82\xa7compact\xc3\xa6schema\x00", {"compact": True, "schema": 0}),
        (b"\x93\xcb\x40\x35\x66\x66\x66\x66\x66\x66\xff\xc0", [21.4, -1, None]),
        (b"\xca\x41\xac\x00\x00", 21.5),
        (b"\xcf" + b"\xff" * 8, 2**64 - 1),
        (b"\x81\x66\xcd\x08\x5c", {"102": 2140}),
        (b"\x82\xc4\x01t\x01\xcb\x3f\xf8\0\0\0\0\0\0\x02", {"t": 1, "1.5": 2}),
        (b"\x91\xc4\x02\x05\xff", ["05ff"]),
        (b"\x91\xd6\xff\x00\x00\x00\x3c", [60.0]),
    ],
    ids=["specification", "array", "float32", "uint64", "number-key", "other-keys", "binary", "timestamp"],
)
def test_parse(payload: bytes, content: object) -> None:
    """MessagePack is returned with JSON's types only."""
    assert FORMAT.parse(payload) == content


def test_time() -> None:
    """A timestamp with nanoseconds becomes seconds."""
    time = datetime(2026, 11, 29, 14, 5, 0, 250_000, UTC)
    assert FORMAT.parse(msgspec.msgpack.encode({"t": time})) == {"t": time.timestamp()}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "the payload is empty; expected MessagePack"),
        (b"\xc1", "no MessagePack: MessagePack data is malformed: invalid opcode"),
        (b"\x92\x01", "truncated"),
        (b"\xdd\xff\xff\xff\xff", "truncated"),
        (b"21.4", "trailing characters"),
        (b"\xa1\xff", "can't decode byte 0xff"),
        (b"\xd4\x05\x01", "extension type 5 is not supported"),
        (b"\x81\xc0\x01", "a key is of type NoneType; expected text or a number"),
        (b"\x91" * 1_000_000, "nested too deeply"),
    ],
    ids=["empty", "opcode", "truncated", "huge", "text", "no-utf-8", "extension", "key", "nested"],
)
def test_reason(payload: bytes, reason: str) -> None:
    """What is no MessagePack, or has no counterpart in JSON, raises ValueError with what is wrong."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        FORMAT.parse(payload)


def test_megabyte_of_arrays() -> None:
    """A payload of the largest size can hold a million empty arrays."""
    assert FORMAT.parse(b"\xdd" + struct.pack(">I", 1_000_000) + b"\x90" * 1_000_000) == [[]] * 1_000_000


@ANY_BYTES
@given(
    payload=mutations(
        b"\x84\xa1a\x93\x01\xff\xcb\x40\x35\x66\x66\x66\x66\x66\x66\x07\xc0\xc4\x01t\xc4\x01\xff\xa1b\xd6\xff\0\0\0\x01",
        b"\x92\xc7\x0c\xff" + bytes(12) + b"\xd4\x05\x01",
    )
)
def test_any_bytes(payload: bytes) -> None:
    """Any bytes give plain data or a reason."""
    check_any_bytes(FORMAT, payload)
