import re
import struct
import sys

import cbor2
import pytest
from hypothesis import given

from monitor.ingest.formats.cbor import CborFormat
from tests.monitor.ingest.formats.any_bytes import ANY_BYTES, assert_plain, check_any_bytes, mutations

FORMAT = CborFormat()


@pytest.mark.parametrize(
    ("payload", "content"),
    [
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
        ("9f01820203ff", [1, [2, 3]]),
        ("bf6346756ef563416d7421ff", {"Fun": True, "Amt": -2}),
        ("7f657374726561646d696e67ff", "streaming"),
        ("f93e00", 1.5),
        ("83f4f6f7", [False, None, None]),
        ("a1186619085c", {"102": 2140}),
        ("814205ff", ["05ff"]),
        ("c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z"),
        ("c11a514b67b0", 1363896240),
        ("c249010000000000000000", 2**64),
        ("c349010000000000000000", -(2**64) - 1),
        ("c48221196ab3", 273.15),
        ("c5822003", 1.5),
        ("d9d9f7a1616101", {"a": 1}),
        ("d90102820102", [1, 2]),
        ("d91234f5", True),
    ],
)
def test_parse(payload: str, content: object) -> None:
    """CBOR is returned with JSON's types only, whatever its tags."""
    assert FORMAT.parse(bytes.fromhex(payload)) == content


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "the payload is empty; expected CBOR"),
        (b"21.4", "4 CBOR items one after another; expected one"),
        (b'{"a": 1}', "the payload ends within an item"),
        (b"\x82\x01", "the payload ends within an item"),
        (b"\x9b" + b"\x7f" * 8, "the payload ends within an item"),
        (b"\x5b" + b"\x7f" * 8, "the payload ends within an item"),
        (b"\x01\x82", "more after the end of the first item"),
        (b"\x61\xff", "can't decode byte 0xff"),
        (b"\xe0", "of type CBORSimpleValue"),
        (b"\xa1\x81\x01\x01", "a key is of type tuple"),
        (b"\x81" * 1_000_000, "nesting depth"),
        (b"\xc6" * 1_000_000, "nesting depth"),
        (b"\xd8\x1c\x81\xd8\x1d\x00", "a reference to another value"),
        (b"\xd9\x01\x00\x82\x65aaaaa\xd8\x19\x00", "a reference to another value"),
        (b"\xc2\x58\x80" + b"\xff" * 128, "more than 127 bytes"),
        (b"\xa1\xc2\x41\x01\x01", "a big integer as a key"),
        (b"\xc4\x01", "a decimal fraction that isn't an array of two integers"),
    ],
)
def test_reason(payload: bytes, reason: str) -> None:
    """What is no CBOR, or has no counterpart in JSON, raises ValueError with what is wrong."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        FORMAT.parse(payload)


@pytest.mark.parametrize("tag", [4, 5])
@pytest.mark.parametrize(("mantissa", "value"), [(1, float("inf")), (-1, float("-inf"))])
def test_huge_exponent(tag: int, mantissa: int, value: float) -> None:
    """A number of a few bytes that is larger than any float is infinite, and takes no memory."""
    assert FORMAT.parse(cbor2.dumps(cbor2.CBORTag(tag, [2**62, mantissa]))) == value


@pytest.mark.parametrize("content", [0, -1, "a", b"0123456789abcdef", [1, 2], {1: 2}, 1.5, None], ids=repr)
def test_every_tag(content: object) -> None:
    """No tag makes anything but JSON's types, and refused ones give a reason."""
    for tag in [*range(1200), 43000, 55799, 2**64 - 1]:
        check_any_bytes(FORMAT, cbor2.dumps(cbor2.CBORTag(tag, content)))


@pytest.mark.parametrize(
    "payload",
    [
        b"\x9a" + struct.pack(">I", 1_000_000) + b"\x80" * 1_000_000,
        b"\xbf" + b"\x00\x01" * 500_000 + b"\xff",
        b"\x7f" + b"\x61a" * 500_000 + b"\xff",
        b"\xbf"
        + b"".join(b"\x1b" + struct.pack(">H", i % 65536) + bytes(7) for i in range(100_000))
        + b"\xff",
    ],
    ids=["arrays", "map", "chunks", "keys-of-similar-hash"],
)
def test_megabyte(payload: bytes) -> None:
    """A payload of the largest size takes neither minutes nor much memory."""
    assert_plain(FORMAT.parse(payload))


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cbor2 isn't installed, the reason names the extra."""
    monkeypatch.setitem(sys.modules, "cbor2", None)
    with pytest.raises(
        ValueError, match=r"cbor2 is not installed; expected `pip install 'sensor-monitor\[cbor\]'`"
    ):
        CborFormat()


@ANY_BYTES
@given(
    payload=mutations(
        bytes.fromhex("bf6161019f0203ff6162c48221196ab3186642ff00f7f6ff"),
        bytes.fromhex("84c11a514b67b0c5822003d81e820102d9010041ff"),
    )
)
def test_any_bytes(payload: bytes) -> None:
    """Any bytes give plain data or a reason."""
    check_any_bytes(FORMAT, payload)
