"""The publishing thread writes to the socket; what does not fit is sent later, whole and in order."""

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
    """One end of a connection that calls `during_send` once while it sends."""

    during_send: Callable[[], object] = staticmethod(lambda: None)

    def send(self, data: Any, *flags: int) -> int:
        sent = super().send(data, *flags)
        hook, self.during_send = self.during_send, lambda: None
        hook()
        return sent


class _SocketClient(BulkClient):
    def __init__(self, sock: _HookedSocket) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
        self._given_socket = sock
        # With this callback paho leaves writing to `loop_write`, which the tests call.
        self.on_socket_register_write = lambda *_: None
        self.enable_direct_write()
        self.connect("nowhere")
        self.loop_write()

    def _create_socket_connection(self) -> Any:
        return self._given_socket


class _Peer:
    """The broker's end of the connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def receive(self, client: _SocketClient, size: int) -> bytes:
        """Receive at least `size` bytes while the client writes its queued packets."""
        received = b""
        while len(received) < size:
            received += self._socket.recv(1 << 16)
            client.loop_write()
        return received


@pytest.fixture
def socket_pair() -> Iterator[tuple[_HookedSocket, socket.socket]]:
    """A connection with a small send buffer."""
    near, far = socket.socketpair()
    far.settimeout(TIMEOUT_S)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with _HookedSocket(fileno=near.detach()) as sock, far:
        yield sock, far


def test_partial_packet_is_completed_first(socket_pair: tuple[_HookedSocket, socket.socket]) -> None:
    """The rest of a partly sent packet is sent before packets that other threads have queued meanwhile."""
    sock, far = socket_pair
    client, broker = _SocketClient(sock), _Peer(far)
    broker.receive(client, 1)

    def acknowledge_on_another_thread() -> None:
        thread = threading.Thread(target=client.acknowledge, args=([7],))
        thread.start()
        thread.join()

    sock.during_send = acknowledge_on_another_thread
    client.publish("a", LARGE_PAYLOAD, qos=1)
    assert client.want_write(), "only a part was sent"
    client.acknowledge([8])
    packet = b"\0\1a\0\1" + LARGE_PAYLOAD
    expected = packet + PUBACK + b"\7" + PUBACK + b"\x08"
    assert broker.receive(client, 4 + len(expected))[4:] == expected


def test_full_socket(socket_pair: tuple[_HookedSocket, socket.socket]) -> None:
    """A packet for a full socket is queued, and sent once there is room."""
    sock, far = socket_pair
    client, broker = _SocketClient(sock), _Peer(far)
    broker.receive(client, 1)
    filled_size = 0
    with suppress(BlockingIOError):
        while True:
            filled_size += sock.send(bytes(999))
    client.acknowledge([7])
    assert client.want_write()
    assert broker.receive(client, filled_size + 4)[filled_size:] == PUBACK + b"\7"
    client.acknowledge([8])
    assert not client.want_write(), "with room it is sent at once"
    assert broker.receive(client, 4) == PUBACK + b"\x08"


def test_nagle_is_off() -> None:
    """Nagle's algorithm is off: a small packet is sent at once and does not wait for the next one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = BulkClient(CallbackAPIVersion.VERSION2)
        client.connect(*server.getsockname())
        sock = client.socket()
        assert sock is not None
        with sock:
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_receive_buffer_size_is_fixed() -> None:
    """The kernel's receive buffer does not grow, so that a flood collects in the broker's kernel."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        client = BulkClient(CallbackAPIVersion.VERSION2)
        client.connect(*server.getsockname())
        sock = client.socket()
        assert isinstance(sock, socket.socket)
        with sock:
            buffer_size = socket.SOL_SOCKET, socket.SO_RCVBUF
            assert sock.getsockopt(*buffer_size) == other.getsockopt(*buffer_size)
