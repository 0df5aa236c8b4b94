"""What a broker sends: any bytes, to paho's client with the socket that takes readings out of the stream."""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from monitor.mqtt.bulk_client import BulkClient
from monitor.mqtt.packet_parser import PublishPacket
from tests.chaos.fuzzing.target import FuzzTarget
from tests.chaos.raw_mqtt import publish_packet

__all__ = ["Target"]

_HEADER_BYTES = 2
_PASSTHROUGH_PREFIX = b"base/"
_SEED_COUNT = 4
_CONNACK, _SUBACK, _PUBACK, _PINGRESP = b"\x20\3\0\0\0", b"\x90\4\0\1\0\1", b"\x40\2\0\1", b"\xd0\0"
_UNDECODABLE_TOPIC = "\ufffd"


class _ChunkSocket:
    """A socket that receives one chunk after the other, and then nothing."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = list(chunks)

    @property
    def has_more(self) -> bool:
        """Whether there are more chunks."""
        return bool(self._chunks)

    def recv_into(self, buffer: memoryview) -> int:
        """Return a chunk's bytes."""
        if not self._chunks:
            raise BlockingIOError
        chunk = self._chunks.pop(0)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def send(self, data: bytes) -> int:
        """Take all bytes."""
        return len(data)

    def setblocking(self, _: Any) -> None:
        """Do nothing."""

    def fileno(self) -> int:
        """Return no descriptor."""
        return -1

    def close(self) -> None:
        """Do nothing."""


class _Client(BulkClient):
    """The client on a `_ChunkSocket`."""

    chunk_socket: _ChunkSocket

    def _create_socket_connection(self) -> Any:
        return self.chunk_socket


class Target(FuzzTarget):
    """The client; an input's first two bytes are the protocol's version and the size of the chunks."""

    max_input_bytes = 2048
    tokens = ("plant/line1/station7/reading", "base/request/forget", "MQTT", "base/")

    def __init__(self, _: Path) -> None:
        pass

    def seeds(self) -> Iterator[bytes]:
        """Yield well-formed streams of both versions, whole and in small chunks."""
        for number in range(_SEED_COUNT):
            is_v5, chunk_size = number % 2, (255, 7)[number // 2]
            properties = b"\0" if is_v5 else b""
            packets = [
                _CONNACK if is_v5 else _CONNACK[:1] + b"\2\0\0",
                _SUBACK if is_v5 else b"\x90\3\0\1\1",
                publish_packet(b"plant/line1/station7/reading", properties + b"payload", 1),
                publish_packet(b"base/request/forget", properties + b"{}", 2),
                publish_packet(b"a", properties, 0, qos=0),
                publish_packet(b"plant/x", properties + b"1", 3, qos=2),
                _PUBACK,
                _PINGRESP,
            ]
            yield bytes([is_v5, chunk_size]) + b"".join(packets)

    def run(self, data: bytes) -> bool:
        """Let the client read a stream; accepted if it delivers a message."""
        if len(data) < _HEADER_BYTES:
            return False
        protocol = MQTTProtocolVersion.MQTTv5 if data[0] & 1 else MQTTProtocolVersion.MQTTv311
        chunk_size, stream = max(data[1], 1), data[_HEADER_BYTES:]
        delivered: list[PublishPacket] = []
        client = _Client(CallbackAPIVersion.VERSION2, protocol=protocol, manual_ack=True)
        client.chunk_socket = _ChunkSocket(
            stream[begin : begin + chunk_size] for begin in range(0, len(stream), chunk_size)
        )
        client.intercept(lambda packets, _: delivered.extend(packets), (_PASSTHROUGH_PREFIX,))
        client.connect("nowhere")
        connection: Any = client.socket()
        # Another socket: paho connected again, as where the broker refuses the version; the stream ended.
        while client.socket() is connection and (client.chunk_socket.has_more or connection.pending()):
            if client.loop_read():
                break
        expected = list(_read_publishes(stream, has_properties=bool(data[0] & 1)))
        assert delivered == expected[: len(delivered)], (delivered, expected)
        return bool(delivered)


def _read_publishes(stream: bytes, *, has_properties: bool) -> Iterator[PublishPacket]:
    """Yield the readings of a stream as the standard has them, packet by packet."""
    position = 0
    while (header := _read_number(stream, position + 1)) is not None:
        length, begin = header
        first, end = stream[position], begin + length
        if end > len(stream):
            return
        packet = _read_publish(first, stream[begin:end], has_properties=has_properties)
        if packet is not None:
            yield packet
        position = end


def _read_publish(first: int, body: bytes, *, has_properties: bool) -> PublishPacket | None:
    """Return a PUBLISH of QoS 0 or 1 that doesn't belong to paho; None of any other packet."""
    if first >> 4 != 3 or first & 4 or len(body) < 2:
        return None
    (topic_size,) = struct.unpack(">H", body[:2])
    topic, rest, packet_id = body[2 : 2 + topic_size], body[2 + topic_size :], 0
    if len(topic) < topic_size or not topic or topic.startswith(_PASSTHROUGH_PREFIX):
        return None
    if first & 2:
        if len(rest) < 2:
            return None
        packet_id, rest = int.from_bytes(rest[:2]), rest[2:]
    if has_properties:
        header = _read_number(rest, 0)
        if header is None or header[1] + header[0] > len(rest):
            return None
        rest = rest[header[1] + header[0] :]
    try:
        text = topic.decode()
    except UnicodeDecodeError:
        text = _UNDECODABLE_TOPIC
    return text, rest, packet_id, first & 9


def _read_number(data: bytes, position: int) -> tuple[int, int] | None:
    """Return a number of variable length and the position after it; None if there is none."""
    number = 0
    for index in range(4):
        if position + index >= len(data):
            return None
        byte = data[position + index]
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return number, position + index + 1
    return None
