"""The packet parser: where packets end, which stay in the stream, and which topics are cached."""

import pytest

from monitor.core.messages import EXCESS_FLAG
from monitor.ingest.limits import MAX_TOPIC_LENGTH
from monitor.mqtt.packet_parser import LARGE_PACKET, PacketParser, PublishPacket

PASSTHROUGH_PREFIX = b"base/"


def _encode_packet(first: int, body: bytes) -> bytes:
    length, size = bytearray(), len(body)
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([first, *length, size]) + body


@pytest.mark.parametrize("size", [100, 127, 128, 129, 16_383, 16_384])
def test_packet_split_at_any_byte(size: int) -> None:
    """A packet whose length takes one, two or three bytes may be split at any byte."""
    packet = _encode_packet(0x32, b"\0\1a\1\2" + bytes(size - 5))
    for cut in [*range(10), size - 1, size, size + 1]:
        parser = PacketParser(has_properties=False, passthrough_prefixes=())
        results = [parser.feed(chunk) for chunk in (packet[:cut], packet[cut:] + packet)]
        packets = [publish for publishes, _ in results for publish in publishes]
        assert packets == [("a", bytes(size - 5), 0x102, 0)] * 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"\0\1",
        b"\0\1a",  # no packet identifier
        b"\0\1a\1",
        b"\0\1a\1\2",  # no properties
        b"\0\1a\1\2\1",  # properties longer than the packet
        b"\0\1a\1\2\x80",
        b"\0\1a\1\2\xff\xff\xff\xff",
        b"\0\0\1\2\0",  # empty topic
        b"\0\x09base/info\1\2\0",
        b"\1\1a\1\2\0",
    ],
)
@pytest.mark.parametrize("cached", [True, False])
def test_other_packets_stay_in_the_stream(body: bytes, *, cached: bool) -> None:
    """A malformed PUBLISH packet, or one with a passed-through topic, stays in the stream."""
    parser = PacketParser(has_properties=True, passthrough_prefixes=(PASSTHROUGH_PREFIX,))
    valid = _encode_packet(0x32, b"\0\1a\1\2\0")
    for tail in (b"", valid, bytes(300)):
        if cached:
            assert parser.feed(valid) == ([("a", b"", 0x102, 0)], b"")
        packet = _encode_packet(0x32, body)
        publishes, rest = parser.feed(packet + tail)
        assert rest[: len(packet)] == packet
        assert len(publishes) == (tail == valid)


def test_topics_are_cached() -> None:
    """A cached topic is the same object each time; the cache is bounded."""
    parser = PacketParser(has_properties=False, passthrough_prefixes=())
    packets = [_encode_packet(0x30, b"\0\5%05d" % number) for number in range(10_000)]
    first, second = ([topic for topic, *_ in parser.feed(b"".join(packets))[0]] for _ in range(2))
    assert first == second == [f"{number:05}" for number in range(10_000)]
    same = sum(one is other for one, other in zip(first, second, strict=True))
    assert 1000 < same < 5000


def test_long_topics_are_not_cached() -> None:
    """Long topics are not cached: thousands of them would take hundreds of megabytes."""
    parser = PacketParser(has_properties=False, passthrough_prefixes=())
    packet = _encode_packet(0x30, b"\x03\xe8" + b"t" * 1000)
    [(first, *_)], [(second, *_)] = (parser.feed(packet)[0] for _ in range(2))
    assert first == second == "t" * 1000
    assert first is not second


@pytest.mark.parametrize("character", ["t", "\u00e9", "\u20ac", "\U0001f600"])
def test_too_long_topic(character: str) -> None:
    """Of a topic that is too long to be read the beginning is left, one character more than can be read."""
    parser = PacketParser(has_properties=False, passthrough_prefixes=())
    topic = (character * 65_535).encode()[:65_535].decode(errors="ignore").encode()
    [(found, payload, *_)], rest = parser.feed(
        _encode_packet(0x30, len(topic).to_bytes(2) + topic + b"payload")
    )
    assert (found, payload, rest) == (character * (MAX_TOPIC_LENGTH + 1), b"payload", b"")


class _Limit:
    """Takes no message on the topic `flood`."""

    def expect_backlog(self) -> None:
        raise AssertionError

    def apply(self, packets: list[PublishPacket], _size: int, *, may_be_large: bool) -> list[PublishPacket]:
        assert may_be_large or max(len(payload) for _, payload, _, _ in packets) < LARGE_PACKET
        return packets

    def admits(self, topic: str, _size: int) -> bool:
        return topic != "flood"


@pytest.mark.parametrize("first", [0x30, 0x32])
@pytest.mark.parametrize("chunk_size", [1_000, 70_000, 200_001, 1 << 20])
def test_payload_is_skipped(first: int, chunk_size: int) -> None:
    """A large message beyond the limit loses its payload as it arrives; nothing else is lost or reordered."""
    identifier = b"\1\2" if first & 2 else b""
    packets = [
        _encode_packet(first, len(topic).to_bytes(2) + topic + identifier + bytes(size))
        for topic, size in ((b"a", 5), (b"flood", 200_000), (b"b", 100_000), (b"flood", 300_000), (b"a", 6))
    ]
    parser = PacketParser(has_properties=False, passthrough_prefixes=(), limit=_Limit())
    stream = b"".join([*packets, b"\xd0\0"])
    chunks = [stream[start : start + chunk_size] for start in range(0, len(stream), chunk_size)]
    results = [parser.feed(chunk) for chunk in chunks]
    found = [publish for publishes, _ in results for publish in publishes]
    assert b"".join(rest for _, rest in results) == b"\xd0\0"
    assert [topic for topic, *_ in found] == ["a", "flood", "b", "flood", "a"]
    assert {packet_id for _, _, packet_id, _ in found} == {0x102 if identifier else 0}
    sizes = [len(payload) for _, payload, _, _ in found]
    assert (sizes[0], sizes[2], sizes[4]) == (5, 100_000, 6)
    for topic, payload, _, flags in found:
        assert (flags == EXCESS_FLAG and not payload) or (flags == 0 and payload), topic
    if chunk_size < 200_000:  # otherwise a message comes whole, and the limit's `apply` decides
        assert (sizes[1], sizes[3]) == (0, 0)


@pytest.mark.parametrize("chunk_size", [1, 7, 64, 1000])
@pytest.mark.parametrize("first", [0x30, 0x32])
def test_packet_beyond_the_limit_of_mqtt_3(chunk_size: int, first: int) -> None:
    """With MQTT 3.1.1 the first bytes of a packet that is too large are delivered, the rest is skipped."""
    parser = PacketParser(has_properties=False, passthrough_prefixes=(), max_packet_size=64)
    packet_id = b"\0\7" if first == 0x32 else b""
    large = bytes((first, 0xE8, 0x07)) + (b"\0\1a" + packet_id).ljust(1000, b"x")
    small = b"\x30\x05\0\1bhi"
    stream = small + large + large + small
    packets, rest = [], b""
    for begin in range(0, len(stream), chunk_size):
        found, passed = parser.feed(stream[begin : begin + chunk_size])
        packets += found
        rest += passed
    if chunk_size < 1000:  # more arrives with the packet's header in one piece otherwise
        payload = b"x" * (64 - 3 - 3 - len(packet_id))
        kept = ("a", payload, 7 if packet_id else 0, 0)
        assert packets == [("b", b"hi", 0, 0), kept, kept, ("b", b"hi", 0, 0)]
    assert [packet[0] for packet in packets] == ["b", "a", "a", "b"]
    assert (rest, parser.problem) == (b"", "")


@pytest.mark.parametrize(("has_properties", "first"), [(True, 0x30), (False, 0x90), (True, 0x90)])
def test_packet_beyond_the_limit(first: int, *, has_properties: bool) -> None:
    """The connection must be closed as soon as the length of a packet that is too large is read."""
    parser = PacketParser(has_properties=has_properties, passthrough_prefixes=(), max_packet_size=64)
    assert parser.feed(bytes((first, 0xFF, 0xFF, 0xFF))) == ([], b"")
    assert parser.problem == ""
    assert parser.feed(b"\x7f") == ([], b"")
    assert parser.problem == "the broker sent a packet of 268435460 bytes; expected at most 64"
