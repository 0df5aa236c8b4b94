"""As much of MQTT 3.1.1 as a witness needs: what the broker confirmed, and what it delivered, byte by byte.

The monitor uses paho, so what judges it doesn't: a fault of paho's would be on both sides of the scale.
"""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

__all__ = ["PUBACK", "PUBLISH", "SUBACK", "Link", "Packet", "packets", "publish"]

PUBLISH, PUBACK, SUBACK = 3, 4, 9
_CONNACK = 2
_CONNECT_BYTE, _SUBSCRIBE_BYTE, _PUBACK_BYTE, _DISCONNECT = 0x10, 0x82, 0x40, b"\xe0\x00"
_MORE = 0x80
_SMALLEST = 2  # bytes of the smallest packet
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Packet:
    """What the broker sent."""

    kind: int
    number: int = 0
    """Packet identifier; 0 where there is none."""
    topic: str = ""
    payload: bytes = b""
    retained: bool = False
    again: bool = False
    """Whether the broker may have delivered it before."""


class Link:
    """One connection to a broker on this machine.

    Parameters
    ----------
    port : of the broker.
    client_id : of the session.
    durable : whether the broker keeps the session when the connection ends.

    Raises
    ------
    OSError : there is no broker, or it wants us not.
    """

    def __init__(self, port: int, client_id: str, *, durable: bool = False) -> None:
        self._buffer = bytearray()
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        flags = 0 if durable else 2
        self.send(_packet(_CONNECT_BYTE, _text("MQTT") + bytes([4, flags]) + b"\0\0" + _text(client_id)))
        answer = self._next()
        if answer.kind != _CONNACK or answer.number & 0xFF:  # above it: whether the session is an old one
            raise ConnectionError(f"the broker refuses {client_id!r}: {answer}")

    def fileno(self) -> int:
        """Return the socket's number, for `select`."""
        return self._socket.fileno()

    def subscribe(self, *filters: str, qos: int = 1) -> None:
        """Ask for a subscription; a SUBACK follows, perhaps after what the session kept."""
        wanted = b"".join(_text(text) + bytes([qos]) for text in filters)
        self.send(_packet(_SUBSCRIBE_BYTE, b"\0\1" + wanted))

    def send(self, data: bytes) -> None:
        """Send whole packets."""
        self._socket.sendall(data)

    def confirm(self, numbers: list[int]) -> None:
        """Acknowledge deliveries."""
        self.send(b"".join(struct.pack(">BBH", _PUBACK_BYTE, 2, number) for number in numbers))

    def receive(self) -> list[Packet]:
        """Return what has come; wait for the first bytes. Raise OSError where the broker is gone."""
        data = self._socket.recv(_CHUNK)
        if not data:
            raise ConnectionError("the broker closed the connection")
        self._buffer += data
        return list(packets(self._buffer))

    def close(self, *, politely: bool = True) -> None:
        """End the connection."""
        try:
            if politely:
                self.send(_DISCONNECT)
        except OSError:
            pass
        finally:
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next(self) -> Packet:
        while True:
            for packet in packets(self._buffer):
                return packet
            data = self._socket.recv(_CHUNK)
            if not data:
                raise ConnectionError("the broker closed the connection")
            self._buffer += data


def packets(buffer: bytearray) -> Iterator[Packet]:
    """Take whole packets from the beginning of what was received; yield them."""
    while len(buffer) >= _SMALLEST:
        length, shift, start = 0, 0, 1
        while start < len(buffer):
            byte = buffer[start]
            length |= (byte & 0x7F) << shift
            start, shift = start + 1, shift + 7
            if not byte & _MORE:
                break
        else:
            return
        if len(buffer) < start + length:
            return
        first, body = buffer[0], bytes(buffer[start : start + length])
        del buffer[: start + length]
        yield _parse(first, body)


def publish(topic: bytes, payload: bytes, number: int, *, qos: int = 1, again: bool = False) -> bytes:
    """Return a PUBLISH packet."""
    first = PUBLISH << 4 | again << 3 | qos << 1
    identifier = struct.pack(">H", number) if qos else b""
    return _packet(first, struct.pack(">H", len(topic)) + topic + identifier + payload)


def _parse(first: int, body: bytes) -> Packet:
    kind = first >> 4
    if kind != PUBLISH:
        return Packet(kind, int.from_bytes(body[:2]))
    end = 2 + int.from_bytes(body[:2])
    topic, qos = body[2:end].decode(), first >> 1 & 3
    number = int.from_bytes(body[end : end + 2]) if qos else 0
    return Packet(kind, number, topic, body[end + 2 if qos else end :], bool(first & 1), bool(first & 8))


def _packet(first: int, body: bytes) -> bytes:
    length, size = len(body), bytearray([first])
    while True:
        length, low = length >> 7, length & 0x7F
        size.append(low | (_MORE if length else 0))
        if not length:
            return bytes(size) + body


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data
