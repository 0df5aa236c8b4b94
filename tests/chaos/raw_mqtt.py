"""The part of MQTT 3.1.1 that the recorder and the load generators need, on a plain socket.

The monitor uses paho, so the programs that check it don't: a bug of paho would cancel out in the comparison.
"""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

__all__ = ["PUBACK", "PUBLISH", "SUBACK", "Connection", "Packet", "parse_packets", "publish_packet"]

PUBLISH, PUBACK, SUBACK = 3, 4, 9
_CONNACK = 2
_CONNECT_HEADER, _SUBSCRIBE_HEADER, _PUBACK_HEADER, _DISCONNECT_PACKET = 0x10, 0x82, 0x40, b"\xe0\x00"
_CONTINUATION_BIT = 0x80
_MIN_PACKET_BYTES = 2
_RECV_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that the broker sent."""

    packet_type: int
    packet_id: int = 0
    """Packet identifier; 0 if there is none."""
    topic: str = ""
    payload: bytes = b""
    retained: bool = False
    dup: bool = False
    """Whether the broker may have delivered it before."""


class Connection:
    """One connection to a broker on this machine.

    Parameters
    ----------
    port : of the broker.
    client_id : of the session.
    persistent : whether the broker keeps the session when the connection ends.

    Raises
    ------
    OSError : there is no broker, or it refuses the connection.
    """

    def __init__(self, port: int, client_id: str, *, persistent: bool = False) -> None:
        self._buffer = bytearray()
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._log_in(client_id, flags=0 if persistent else 2)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Return the socket's number, for `select`."""
        return self._socket.fileno()

    def subscribe(self, *filters: str, qos: int = 1) -> None:
        """Send a SUBSCRIBE; the SUBACK may follow after messages that the session kept."""
        subscriptions = b"".join(_encode_string(topic_filter) + bytes([qos]) for topic_filter in filters)
        self.send(_encode_packet(_SUBSCRIBE_HEADER, b"\0\1" + subscriptions))

    def send(self, data: bytes) -> None:
        """Send whole packets."""
        self._socket.sendall(data)

    def acknowledge(self, packet_ids: list[int]) -> None:
        """Send a PUBACK for each delivery."""
        self.send(b"".join(struct.pack(">BBH", _PUBACK_HEADER, 2, packet_id) for packet_id in packet_ids))

    def receive(self) -> list[Packet]:
        """Wait for bytes, and return the packets that are complete.

        Raises
        ------
        OSError : the connection is closed or broken.
        """
        data = self._socket.recv(_RECV_BYTES)
        if not data:
            raise ConnectionError("the broker closed the connection")
        self._buffer += data
        return list(parse_packets(self._buffer))

    def close(self, *, send_disconnect: bool = True) -> None:
        """Close the connection, with a DISCONNECT packet or without."""
        try:
            if send_disconnect:
                self.send(_DISCONNECT_PACKET)
        except OSError:
            pass
        finally:
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _log_in(self, client_id: str, flags: int) -> None:
        self.send(
            _encode_packet(
                _CONNECT_HEADER,
                _encode_string("MQTT") + bytes([4, flags]) + b"\0\0" + _encode_string(client_id),
            )
        )
        connack = self._read_packet()
        # `packet_id` holds the two bytes after the header; of a CONNACK, the low one is the return code.
        if connack.packet_type != _CONNACK or connack.packet_id & 0xFF:
            raise ConnectionError(f"the broker refuses {client_id!r}: {connack}")

    def _read_packet(self) -> Packet:
        while True:
            for packet in parse_packets(self._buffer):
                return packet
            data = self._socket.recv(_RECV_BYTES)
            if not data:
                raise ConnectionError("the broker closed the connection")
            self._buffer += data


def parse_packets(buffer: bytearray) -> Iterator[Packet]:
    """Remove complete packets from the beginning of the buffer, and yield them."""
    while len(buffer) >= _MIN_PACKET_BYTES:
        length, shift, start = 0, 0, 1
        while start < len(buffer):
            byte = buffer[start]
            length |= (byte & 0x7F) << shift
            start, shift = start + 1, shift + 7
            if not byte & _CONTINUATION_BIT:
                break
        else:
            return
        if len(buffer) < start + length:
            return
        header, body = buffer[0], bytes(buffer[start : start + length])
        del buffer[: start + length]
        yield _parse_packet(header, body)


def publish_packet(topic: bytes, payload: bytes, packet_id: int, *, qos: int = 1, dup: bool = False) -> bytes:
    """Return a PUBLISH packet."""
    header = PUBLISH << 4 | dup << 3 | qos << 1
    identifier = struct.pack(">H", packet_id) if qos else b""
    return _encode_packet(header, struct.pack(">H", len(topic)) + topic + identifier + payload)


def _parse_packet(header: int, body: bytes) -> Packet:
    packet_type = header >> 4
    if packet_type != PUBLISH:
        return Packet(packet_type, int.from_bytes(body[:2]))
    end = 2 + int.from_bytes(body[:2])
    topic, qos = body[2:end].decode(), header >> 1 & 3
    packet_id = int.from_bytes(body[end : end + 2]) if qos else 0
    return Packet(
        packet_type, packet_id, topic, body[end + 2 if qos else end :], bool(header & 1), bool(header & 8)
    )


def _encode_packet(header: int, body: bytes) -> bytes:
    length, encoded = len(body), bytearray([header])
    while True:
        length, digit = length >> 7, length & 0x7F
        encoded.append(digit | (_CONTINUATION_BIT if length else 0))
        if not length:
            return bytes(encoded) + body


def _encode_string(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data
