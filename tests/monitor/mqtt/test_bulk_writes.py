"""Whoever publishes writes himself; what the socket has no room for goes out later, whole and in its turn."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from monitor.mqtt.bulk_client import BulkClient
from tests.conftest import PATIENCE

PUBACK = b"\x40\2\0"
LARGE = bytes(range(256)) * 2000


class _Line(socket.socket):
    """One end of a connection, which lets a test do something while it sends."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def send(self, data: Any, *flags: int) -> int:
        sent = super().send(data, *flags)
        act, self.meanwhile = self.meanwhile, lambda: None
        act()
        return sent


class _Client(BulkClient):
    def __init__(self, line: _Line) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
        self._line = line
        self.on_socket_register_write = lambda *_: (
            None
        )  # somebody else calls loop_write, as paho's thread does
        self.write_at_once()
        self.connect("nowhere")
        self.loop_write()

    def _create_socket_connection(self) -> Any:
        return self._line


class _Broker:
    """The other end."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def hear(self, client: _Client, size: int) -> bytes:
        """Return so many bytes, while the client writes what it has in line."""
        heard = b""
        while len(heard) < size:
            heard += self._end.recv(1 << 16)
            client.loop_write()
        return heard


@pytest.fixture
def ends() -> Iterator[tuple[_Line, socket.socket]]:
    """A connection with little room in it."""
    near, far = socket.socketpair()
    far.settimeout(PATIENCE)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with _Line(fileno=near.detach()) as line, far:
        yield line, far


def test_the_rest_of_a_packet_goes_first(ends: tuple[_Line, socket.socket]) -> None:
    """What a full socket left of a packet goes out before all that others put in line meanwhile."""
    line, far = ends
    client, broker = _Client(line), _Broker(far)
    broker.hear(client, 1)

    def another() -> None:
        thread = threading.Thread(target=client.acknowledge, args=([7],))
        thread.start()
        thread.join()

    line.meanwhile = another
    client.publish("a", LARGE, qos=1)
    assert client.want_write(), "there was no room for all of it"
    client.acknowledge([8])
    packet = b"\0\1a\0\1" + LARGE
    expected = packet + PUBACK + b"\7" + PUBACK + b"\x08"
    assert broker.hear(client, 4 + len(expected))[4:] == expected


def test_no_room_at_all(ends: tuple[_Line, socket.socket]) -> None:
    """A packet that finds the socket full is in line, and goes out once there is room."""
    line, far = ends
    client, broker = _Client(line), _Broker(far)
    broker.hear(client, 1)
    filling = 0
    with suppress(BlockingIOError):
        while True:
            filling += line.send(bytes(999))
    client.acknowledge([7])
    assert client.want_write()
    assert broker.hear(client, filling + 4)[filling:] == PUBACK + b"\7"
    client.acknowledge([8])
    assert not client.want_write(), "with room it is written at once"
    assert broker.hear(client, 4) == PUBACK + b"\x08"


def test_nothing_waits_for_what_went_before() -> None:
    """What is small goes out at once too, and not with what comes next."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = BulkClient(CallbackAPIVersion.VERSION2)
        client.connect(*server.getsockname())
        line = client.socket()
        assert line is not None
        with line:
            assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_kernel_holds_the_same_all_the_time() -> None:
    """Under a flood the broker's kernel gathers messages, for ours doesn't make ever more room for them."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        client = BulkClient(CallbackAPIVersion.VERSION2)
        client.connect(*server.getsockname())
        line = client.socket()
        assert isinstance(line, socket.socket)
        with line:
            room = socket.SOL_SOCKET, socket.SO_RCVBUF
            assert line.getsockopt(*room) == other.getsockopt(*room)
