"""Which requests are refused, and which deliveries are counted."""

from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from monitor.core.messages import InboundRequest
from monitor.mqtt.inbound_properties import without_unreadable_properties
from monitor.mqtt.inbound_request import InboundRequests


def convert(
    requests: InboundRequests, *, mid: int = 1, dup: bool = False, payload: bytes = b"{}", **properties: Any
) -> InboundRequest:
    """Return a message as a request."""
    message = paho.MQTTMessage(mid, b"base/request/silence")
    message.payload, message.dup = payload, dup
    encoded: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    for name, value in properties.items():
        setattr(encoded, name, value)
    message.properties = encoded
    return requests.convert(message, message.topic, None, is_unreadable=False)


def test_deliveries_are_counted() -> None:
    """A request with the DUP flag was delivered before, perhaps to an earlier process; each has its count."""
    requests = InboundRequests()
    assert [convert(requests, dup=dup).delivery for dup in (False, True, True, True)] == [1, 2, 3, 4]
    assert convert(requests, dup=True, mid=2).delivery == 2
    assert convert(requests, dup=True, payload=b"").delivery == 2
    assert convert(requests).delivery == 1
    for mid in range(2, 103):
        convert(requests, mid=mid, dup=True)
    assert convert(requests, dup=True).delivery == 2, "the oldest is no longer counted"


@pytest.mark.parametrize(
    ("size", "problem"), [(1024, ""), (1025, "its correlation data has 1025 bytes, expected at most 1024")]
)
def test_long_correlation_data(size: int, problem: str) -> None:
    """Correlation data has a bound, since an answer repeats it."""
    assert convert(InboundRequests(), CorrelationData=bytes(size)).problem == problem


TEXT = b"\x03\x00\x03\xef\xbb\xbf"  # content type U+FEFF


@pytest.mark.parametrize("first", [0x30, 0x32, 0x34, 0x3D])
@pytest.mark.parametrize(
    "properties",
    [
        TEXT,
        b"\x26\x00\x01a\x00\x03\xef\xbb\xbf",  # user property
        b"\x01\x00\x01\x00",  # twice the same one
        b"\x7f\x00",  # none of MQTT
        b"\x03\x00\x09a",  # longer than all properties
        b"\x03\x00\x01\xff",  # no UTF-8
        b"\x21\x00\x01",  # none of a PUBLISH packet
        b"\x02\x00",  # too short
    ],
)
def test_unreadable_properties_are_left_out(first: int, properties: bytes) -> None:
    """Topic, packet identifier and payload stay; no error leaves the function."""
    head = b"\x00\x03a/b" + (b"\x00\x07" if first & 6 else b"")
    assert without_unreadable_properties(
        first, head + bytes((len(properties),)) + properties + b"payload"
    ) == (head + b"\x00payload")


@pytest.mark.parametrize(("count", "is_readable"), [(818, True), (819, False)])
def test_many_properties(count: int, is_readable: bool) -> None:  # noqa: FBT001, a parameter of the test
    """Beyond 4,096 bytes properties aren't read at all: paho takes time by their square."""
    properties = b"\x26\x00\x00\x00\x00" * count
    length = len(properties)
    body = b"\x00\x01a" + bytes((length & 0x7F | 0x80, length >> 7)) + properties + b"payload"
    expected = None if is_readable else b"\x00\x01a\x00payload"
    assert without_unreadable_properties(0x30, body) == expected


def test_any_bytes_as_properties() -> None:
    """Whatever stands where the properties are, no error leaves the function."""
    for number in range(1 << 16):
        body = b"\x00\x01a\x02" + number.to_bytes(2) + b"payload"
        assert without_unreadable_properties(0x30, body) in (None, b"\x00\x01a\x00payload")


@pytest.mark.parametrize(
    "body",
    [b"", b"\x00", b"\x00\x03a/b", b"\x00\x03a/b\x00rest", b"\x00\x01a\x04\x03\x00\x01a", b"\x00\x01a\xff"],
)
def test_readable_properties_stay(body: bytes) -> None:
    """Packets with properties that paho reads, with none, or that are cut short are left as they are."""
    assert without_unreadable_properties(0x30, body) is None
