"""Clients that connect to the HTTP port and send nothing, too little, or keep pages open."""

import resource
import select
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from monitor.telemetry.http_refusals import Refusal
from monitor.web import connections
from monitor.web.certificate import ServerCertificate
from monitor.web.server import Server
from monitor.web.stream import MAX_CLIENTS
from tests.conftest import TIMEOUT_S, Mosquitto, wait_until
from tests.security.attackers import Target
from tests.security.plant import Plant
from tests.support.certificates import create_ca, create_certificate
from tests.support.processes import Monitor

_SILENT_CLIENTS = 1100
_MAX_PER_CLIENT = 64
_MAX_CONNECTIONS = 128
_SLACK = 8
"""Files that the monitor may open meanwhile for other reasons, or while it closes a connection."""
_HALF_A_REQUEST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
_EVENTS = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Let this process open as many connections as an attacker does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _location(address: str) -> tuple[str, int]:
    host, _, port = address.partition("://")[2].rpartition(":")
    return host, int(port)


def _begin_connect(address: str, source: str = "127.0.0.1") -> socket.socket:
    """Begin to connect from an address, and don't wait."""
    client = socket.socket()
    client.setblocking(False)  # noqa: FBT003, the library's
    client.bind((source, 0))
    client.connect_ex(_location(address))
    return client


@contextmanager
def _connected(
    address: str, count: int, source: str = "127.0.0.1", data: bytes = b""
) -> Iterator[list[socket.socket]]:
    """Connect many times and send something on each."""
    with ExitStack() as stack:
        clients = [stack.enter_context(_begin_connect(address, source)) for _ in range(count)]
        for client in clients if data else ():
            select.select([], [client], [], TIMEOUT_S)
            client.send(data)
        yield clients


def _open_files(monitor: Monitor) -> int:
    assert monitor.process is not None
    return len(list(Path(f"/proc/{monitor.process.pid}/fd").iterdir()))


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_silent_connections(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, *, tls: bool) -> None:
    """1,100 silent connections take 64 files; the monitor answers, reconnects, and logs a line of them."""
    create_ca(tmp_path, "ca")
    create_certificate(tmp_path, "ca", "http")
    settings = f'certfile = "{tmp_path}/http.pem"\nkeyfile = "{tmp_path}/http.key"' if tls else ""
    limited = ("sh", "-c", 'ulimit -n 1024; exec "$@"', "sh", sys.executable, "-m", "monitor")
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, settings, command=limited)
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    try:
        monitor.start()

        def status(path: str) -> int:
            return httpx.get(monitor.address + path, verify=context, timeout=TIMEOUT_S).status_code

        wait_until(lambda: status("/readyz") == 200, "it is ready")
        files, most_files = _open_files(monitor), 0
        with _connected(monitor.address, _SILENT_CLIENTS):
            wait_until(lambda: "of one client are open" in monitor.log(), "the connections are there")
            assert status("/livez") == 200
            mosquitto.stop()
            mosquitto.start()
            wait_until(lambda: status("/readyz") == 503, "the broker has gone")
            wait_until(lambda: status("/readyz") == 200, "the broker is reached again")
            most_files = _open_files(monitor)
        assert most_files <= files + _MAX_PER_CLIENT + _SLACK
        assert monitor.log().count("HTTP server") == 1, monitor.log()
        assert monitor.terminate() == 0
    finally:
        monitor.kill()


@pytest.fixture
def monitor(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> Iterator[Monitor]:
    """A monitor that is ready."""
    running = Monitor(tmp_path, toy_bundle, mosquitto.port)
    try:
        running.start_ready()
        yield running
    finally:
        running.kill()


def test_half_requests_of_several_clients(monitor: Monitor) -> None:
    """Clients that fill all connections with halves of requests keep out no other client."""
    files = _open_files(monitor)
    with ExitStack() as stack:
        for number in range(2, 5):
            clients = _connected(monitor.address, 200, f"127.0.0.{number}", _HALF_A_REQUEST)
            stack.enter_context(clients)
        wait_until(lambda: "128 connections are open" in monitor.log(), "all connections are taken")
        assert monitor.get("/livez") == (200, "ok\n")
        assert _open_files(monitor) <= files + _MAX_CONNECTIONS + _SLACK
        assert monitor.metric("http_refused_total", reason=Refusal.CONNECTIONS.value) >= 400


def _read_events(client: socket.socket) -> bytes:
    """Return what came; at the end b""."""
    select.select([client], [], [], TIMEOUT_S)
    return client.recv(65536)


def _is_ended(client: socket.socket) -> bool:
    """Read what came of a page's events, and return whether they have ended."""
    try:
        return client.recv(65536).endswith(b"0\r\n\r\n")
    except BlockingIOError:
        return False


def test_pages_of_a_stranger(monitor: Monitor) -> None:
    """Whoever keeps all pages open that there may be keeps out nobody: one of them gives way."""
    with _connected(monitor.address, MAX_CLIENTS, "127.0.0.2", _EVENTS) as pages:
        assert all(_read_events(page).startswith(b"HTTP/1.1 200") for page in pages)
        with _connected(monitor.address, 1, "127.0.0.2", _EVENTS) as (one_more,):
            assert _read_events(one_more).startswith(b"HTTP/1.1 503")
        with _connected(monitor.address, 1, "127.0.0.1", _EVENTS) as (page,):
            assert _read_events(page).startswith(b"HTTP/1.1 200")
            wait_until(lambda: _is_ended(pages[0]), "the stranger's oldest page has ended")
            assert not any(_is_ended(other) for other in pages[1:])
            wait_until(lambda: b"event: " in _read_events(page), "the other page has its events")
    assert monitor.metric("http_refused_total", reason=Refusal.PAGES.value) == 1


@pytest.mark.parametrize("data", [b"", b"\x16\x03\x01\x02\x00"], ids=["silent", "half a hello"])
def test_unfinished_handshake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """A client that doesn't finish TLS's handshake is disconnected."""
    monkeypatch.setattr(connections, "_REQUEST_TIMEOUT_S", 0.3)
    create_ca(tmp_path, "ca")
    create_certificate(tmp_path, "ca", "http")
    certificate = ServerCertificate(tmp_path / "http.pem", tmp_path / "http.key")
    server = Server(Starlette(), "127.0.0.1", 0, certificate=certificate)
    server.start()
    try:
        with socket.create_connection(_location(server.address), TIMEOUT_S) as client:
            client.sendall(data)
            assert client.recv(1) == b""
    finally:
        server.stop()


def keep_connecting(target: Target) -> None:
    """Keep 300 connections open that send nothing, and 300 that send half a request; open each one again."""
    poll = select.epoll()
    clients: dict[int, tuple[socket.socket, bytes]] = {}

    def connect(data: bytes) -> None:
        client = _begin_connect(target.http_address)
        clients[client.fileno()] = client, data
        poll.register(client, select.EPOLLOUT if data else select.EPOLLIN)

    for data in (b"", _HALF_A_REQUEST):
        for _ in range(300):
            connect(data)
    closed = 0
    while not target.stopped.is_set():
        for number, events in poll.poll(0.1):
            client, data = clients[number]
            if events == select.EPOLLOUT:
                client.send(data)
                poll.modify(client, select.EPOLLIN)
                continue
            poll.unregister(client)
            client.close()
            del clients[number]
            connect(data)
            closed += 1
        if closed >= 1000:
            target.started.set()


def test_connections_beside_a_plant(plant: Plant) -> None:
    """Clients that connect again and again delay no alert, lose no reading and keep out no health check."""
    with plant.attack(keep_connecting):
        plant.turn_faulty()
        for _ in range(2):
            plant.send_rounds(4)
            plant.turn_faulty()
    plant.assert_unharmed()


def keep_asking(target: Target) -> None:
    """Ask for the metrics all the time, on 20 connections with 10 requests under way on each."""
    request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10
    with _connected(target.http_address, 20, data=request) as clients:
        received = 0
        while not target.stopped.is_set():
            for client in select.select(clients, [], [], 0.1)[0]:
                data = client.recv(1 << 20)
                received += len(data)
                for _ in range(data.count(b"HTTP/1.1 200")):
                    client.send(request[: len(request) // 10])
            if received > 10_000_000:
                target.started.set()


def test_requests_beside_a_plant(plant: Plant) -> None:
    """Clients that ask for the metrics all the time delay no alert, lose no reading and fail no check."""
    with plant.attack(keep_asking):
        plant.turn_faulty()
        for _ in range(2):
            plant.send_rounds(4)
            plant.turn_faulty()
    plant.assert_unharmed()
