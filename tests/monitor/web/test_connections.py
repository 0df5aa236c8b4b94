"""Real connections of clients that send nothing, too slowly or no HTTP, and of clients that do not read."""

import resource
import socket
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.web import connections
from monitor.web.app import build_app
from monitor.web.health import HealthChecks
from monitor.web.live import LiveGroups
from monitor.web.server import Server
from monitor.web.stream import MAX_CLIENTS, Stream
from tests.conftest import TIMEOUT_S, Mosquitto, wait_until
from tests.monitor.web.test_stream import count_connections
from tests.support.processes import Monitor, run_monitor

LARGE_BODY = bytes(32_000_000)
HEAD = b"HTTP/1.1\r\nHost: localhost\r\n"


@contextmanager
def serve() -> Iterator[Server]:
    """Run a server with the monitor's application, and with `/large`, which no socket's buffers can hold."""
    stream = Stream(LiveGroups(4, point_interval_s=5.0), dict)
    health = HealthChecks(lambda: "", lambda: "")
    app = build_app(CollectorRegistry(), health, stream, lambda: Path("nowhere"))
    server = Server(_with_large_response(app), "127.0.0.1", 0, stream.stop)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _with_large_response(app: ASGIApp) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") != "/large":
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": LARGE_BODY})

    return answer


def get(address: str, path: str = "/livez") -> int:
    """Return the status of a response on a connection of its own."""
    with urllib.request.urlopen(address + path, timeout=TIMEOUT_S) as answer:  # noqa: S310
        status: int = answer.status
        return status


@contextmanager
def connect(address: str, data: bytes = b"") -> Iterator[socket.socket]:
    """Connect with small buffers, and send something."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(TIMEOUT_S)
        client.connect((host, int(port)))
        client.sendall(data)
        client.setblocking(False)  # noqa: FBT003, the library's
        yield client


def is_closed(client: socket.socket, *, read: int = 4096, drip: bytes = b"") -> bool:
    """Read up to `read` bytes, send `drip`, and return whether the server has closed the connection."""
    try:
        if client.recv(read) == b"":
            return True
        client.sendall(drip)
    except BlockingIOError:
        return is_reset(client, drip)
    except OSError:
        return True
    return False


def is_reset(client: socket.socket, data: bytes) -> bool:
    """Send something, and return whether the connection is broken."""
    try:
        client.sendall(data)
    except OSError:
        return True
    return False


def is_reading(client: socket.socket) -> bool:
    """Read a little of a response; always true."""
    with suppress(BlockingIOError):
        client.recv(1000)
    return True


@pytest.mark.parametrize(
    ("start", "drip"),
    [
        (b"", b""),
        (b"GET /livez", b""),
        (b"GET /livez " + HEAD, b"x: y\r\n"),
        (b"GET /livez " + HEAD + b"Content-Length: 1000000000\r\n\r\n", b"x"),
        (b"GET /livez " + HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"GET /livez " + HEAD + b"\r\n", b""),
    ],
    ids=["silent", "half a line", "slow headers", "slow body", "slow chunks", "silent after a response"],
)
def test_unfinished_request(monkeypatch: pytest.MonkeyPatch, start: bytes, drip: bytes) -> None:
    """A client whose request doesn't come to an end is disconnected, however many bytes it still sends."""
    monkeypatch.setattr(connections, "_REQUEST_TIMEOUT_S", 0.3)
    with serve() as server, connect(server.address, start) as client:
        wait_until(lambda: is_closed(client, drip=drip), "the client is disconnected")
        assert get(server.address) == 200


def test_response_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that reads so slowly that its response would take hours is disconnected."""
    monkeypatch.setattr(connections, "_RESPONSE_TIMEOUT_S", 0.3)
    with serve() as server, connect(server.address, b"GET /large " + HEAD + b"\r\n") as client:
        port = int(server.address.rpartition(":")[2])
        wait_until(lambda: is_reading(client) and count_connections(port) == 0, "the server has closed it")


def test_page_stays_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page's events come for longer than any request may take, and a flood of other clients ends none."""
    monkeypatch.setattr(connections, "_REQUEST_TIMEOUT_S", 0.3)
    monkeypatch.setattr(connections, "_RESPONSE_TIMEOUT_S", 0.3)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 8)
    with serve() as server, ExitStack() as stack:
        page = stack.enter_context(connect(server.address, b"GET /events " + HEAD + b"\r\n"))
        for _ in range(2):
            clients = [stack.enter_context(connect(server.address)) for _ in range(20)]
            wait_until(lambda: all(map(is_closed, clients)), "the others are disconnected")  # noqa: B023
        assert not is_closed(page)


@pytest.mark.parametrize("data", [b"", b"GET /large " + HEAD + b"\r\n"], ids=["silent", "not reading"])
def test_health_checks_among_bad_clients(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """However many clients send or read nothing, a health check is answered: the oldest of them give way."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 8)
    with serve() as server, ExitStack() as stack:
        clients = [stack.enter_context(connect(server.address, data)) for _ in range(30)]
        assert get(server.address) == 200
        wait_until(lambda: is_reset(clients[0], b"x"), "the oldest is disconnected")


@pytest.mark.parametrize(
    ("max_files", "connection_count", "page_count"),
    [
        (1024, 128, MAX_CLIENTS),
        (128, 64, MAX_CLIENTS),
        (40, 20, 10),
        (resource.RLIM_INFINITY, 128, MAX_CLIENTS),
    ],
)
def test_limits_for_files(
    monkeypatch: pytest.MonkeyPatch, max_files: int, connection_count: int, page_count: int
) -> None:
    """Connections take half of the files of the process at most, and pages half of the connections."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (max_files, max_files))
    assert connections.max_connections() == connection_count
    assert Stream(LiveGroups(4, point_interval_s=5.0), dict).slots.max_pages == page_count


@pytest.fixture
def monitor(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> Iterator[Monitor]:
    """A monitor that may open 128 files."""
    limited = ("sh", "-c", 'ulimit -n 128; exec "$@"', "sh", sys.executable, "-m", "monitor")
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port, command=limited)) as ready:
        ready.wait_for_log("subscribed to")  # the last line of a start: later ones are what a test causes
        yield ready


def test_more_connections_than_files(monitor: Monitor) -> None:
    """140 silent clients of a monitor that may open 128 files: it answers, and logs one line."""
    log = monitor.log()
    with ExitStack() as stack:
        for _ in range(140):
            stack.enter_context(connect(monitor.address))
        assert monitor.get("/livez") == (200, "ok\n")
        wait_until(lambda: monitor.log() != log, "the log says so")
        (line,) = monitor.log().removeprefix(log).splitlines()
        assert line.endswith(
            "HTTP server: 32 connections of one client are open, the most there may be; "
            "closing those that send or read nothing"
        )
        assert monitor.terminate() == 0


def test_no_file_is_left(monitor: Monitor) -> None:
    """Where the process may open no more files, the log says so in a line, and clients are still answered."""
    assert monitor.process is not None
    pid, log = monitor.process.pid, monitor.log()
    used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 3, limits[1]))
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(connect(monitor.address))
        wait_until(lambda: monitor.log() != log, "the log says so")
        assert monitor.get("/livez") == (200, "ok\n")
        (line,) = monitor.log().removeprefix(log).splitlines()
        assert line.endswith(
            "HTTP server: no connection can be accepted: too many open files; "
            "expected a higher limit (ulimit -n, LimitNOFILE)"
        )


BAD_REQUESTS = {
    "TLS": b"\x16\x03\x01\x02\x00\xff\xfe\r\n\r\n",
    "a header without end": b"GET / " + HEAD + b"X: " + bytes(100_000),
    "a bad chunk": b"POST /livez " + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a bad chunk to the events": b"GET /events " + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "garbage after a request": b"GET /livez " + HEAD + b"\r\n\x00\xff\xfe\r\n\r\n",
    "a host that is no host": b"GET /nothing/ HTTP/1.1\r\nHost: [\r\n\r\n",
    "a path that is no text": b"GET /%ff%00%0a?token=%ff%ed%a0%80 " + HEAD + b"Cookie: \xff=\xfe\r\n\r\n",
    "an upgrade": b"GET /nothing " + HEAD + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
}


def test_bad_requests(monitor: Monitor) -> None:
    """Bad requests, 20 of each kind, are a line in the log for those without HTTP and one for a bad host."""
    log = monitor.log()
    for name, data in BAD_REQUESTS.items():
        for _ in range(20):
            with ExitStack() as stack:
                host, _, port = monitor.address.removeprefix("http://").rpartition(":")
                client = stack.enter_context(socket.create_connection((host, int(port)), TIMEOUT_S))
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                read_all(client, name)
    assert monitor.get("/livez") == (200, "ok\n")
    wait_until(lambda: monitor.log().count("\n") >= log.count("\n") + 2, "the log says so")
    no_http, bad_host = sorted(monitor.log().removeprefix(log).splitlines(), key=lambda line: "host" in line)
    assert no_http.endswith("WARNING HTTP server: Invalid HTTP request received.")
    assert bad_host.endswith("expected it in http.allowed_hosts: '['")


def read_all(client: socket.socket, name: str) -> None:
    """Read until the server closes the connection; it must not answer that it failed."""
    answer = b""
    try:
        while data := client.recv(65536):
            answer += data
    except ConnectionResetError:
        return
    assert b" 500 " not in answer.partition(b"\r\n")[0], name


def test_stop_with_bad_clients(monitor: Monitor) -> None:
    """A monitor stops in good order whatever its clients wait for or keep back."""
    requests: list[bytes] = [b"", b"GET /", b"GET /livez " + HEAD + b"Content-Length: 9\r\n\r\n"]
    requests += [*BAD_REQUESTS.values(), b"GET /metrics " + HEAD + b"\r\n", b"GET /events " + HEAD + b"\r\n"]
    with ExitStack() as stack:
        for data in requests:
            stack.enter_context(connect(monitor.address, data))
        assert monitor.get("/livez") == (200, "ok\n")
        assert monitor.terminate() == 0
    assert "ERROR" not in monitor.log()
    assert "Traceback" not in monitor.log()
    assert monitor.log().rstrip().endswith("stopped")
