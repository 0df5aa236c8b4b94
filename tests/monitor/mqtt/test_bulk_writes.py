"""Whoever publishes writes himself; what the socket has no room for goes out later, whole and in its turn."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from monitor.mqtt.bulk_client import BulkClient
from tests.conftest import TIMEOUT_S

PUBACK = b"\x40\2\0"
LARGE_PAYLOAD = bytes(range(256)) * 2000


class _HookedSocket(socket.socket):
    """One end of a connection, which lets a test do something while it sends."""

    during_send: Callable[[], object] = staticmethod(lambda: None)

    def send(self, data: Any, *flags: int) -> int:
        sent = super().send(data, *flags)
        act, self.during_send = self.during_send, lambda: None
        act()
        return sent


class _SocketClient(BulkClient):
    def __init__(self, sock: _HookedSocket) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
        self._given_socket = sock
        self.on_socket_register_write = lambda *_: (
            None
        )  # somebody else calls loop_write, as paho's thread does
        self.enable_direct_write()
        self.connect("nowhere")
        self.loop_write()

    def _create_socket_connection(self) -> Any:
        return self._given_socket


class _Peer:
    """The other end."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def receive(self, client: _SocketClient, size: int) -> bytes:
        """Return so many bytes, while the client writes what it has in line."""
        heard = b""
        while len(heard) < size:
            heard += self._socket.recv(1 << 16)
            client.loop_write()
        return heard


@pytest.fixture
def socket_pair() -> Iterator[tuple[_HookedSocket, socket.socket]]:
    """A connection with little room in it."""
    near, far = socket.socketpair()
    far.settimeout(TIMEOUT_S)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with _HookedSocket(fileno=near.detach()) as sock, far:
        yield sock, far


def test_partial_packet_is_completed_first(socket_pair: tuple[_HookedSocket, socket.socket]) -> None:
    """What a full socket left of a packet goes out before all that others put in line meanwhile."""
    sock, far = socket_pair
    client, broker = _SocketClient(sock), _Peer(far)
    broker.receive(client, 1)

    def another() -> None:
        thread = threading.Thread(target=client.acknowledge, args=([7],))
        thread.start()
        thread.join()

    sock.during_send = another
    client.publish("a", LARGE_PAYLOAD, qos=1)
    assert client.want_write(), "there was no room for all of it"
    client.acknowledge([8])
    packet = b"\0\1a\0\1" + LARGE_PAYLOAD
    expected = packet + PUBACK + b"\7" + PUBACK + b"\x08"
    assert broker.receive(client, 4 + len(expected))[4:] == expected


def test_full_socket(socket_pair: tuple[_HookedSocket, socket.socket]) -> None:
    """A packet that finds the socket full is in line, and goes out once there is room."""
    sock, far = socket_pair
    client, broker = _SocketClient(sock), _Peer(far)
    broker.receive(client, 1)
    filling = 0
    with suppress(BlockingIOError):
        while True:
            filling += sock.send(bytes(999))
    client.acknowledge([7])
    assert client.want_write()
    assert broker.receive(client, filling + 4)[filling:] == PUBACK + b"\7"
    client.acknowledge([8])
    assert not client.want_write(), "with room it is written at once"
    assert broker.receive(client, 4) == PUBACK + b"\x08"


def test_nagle_is_off() -> None:
    """What is small goes out at once too, and not with what comes next."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = BulkClient(CallbackAPIVersion.VERSION2)
        client.connect(*server.getsockname())
        sock = client.socket()
        assert sock is not None
        with sock:
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_receive_buffer_size_is_fixed() -> None:
    """Under a flood the broker's kernel gathers messages, for ours doesn't make ever more room for them."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        client = BulkClient(CallbackAPIVersion.VERSION2)
        client.connect(*server.getsockname())
        sock = client.socket()
        assert isinstance(sock, socket.socket)
        with sock:
            room = socket.SOL_SOCKET, socket.SO_RCVBUF
            assert sock.getsockopt(*room) == other.getsockopt(*room)
