"""Requests over HTTP: any bytes to a monitor whose page needs a token."""

import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import h11

from tests.chaos.fuzzing.target import FuzzTarget
from tests.conftest import TIMEOUT_S, free_port
from tests.support.processes import Monitor
from tests.support.toy_bundle import save_toy_bundle

__all__ = ["Target"]

_TOKEN = b"token-of-the-fuzzed-monitor"
_PROTECTED_TEXT = b"sensor_monitor_"
"""Part of `/metrics`, and of nothing that is shown without the token."""
_LAST_REQUEST = b"\r\n\r\nGET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
_MAX_OPEN = 30
"""Connections that are open at a time; the monitor allows some more."""


class Target(FuzzTarget):
    """One connection to a monitor in a process of its own."""

    max_input_bytes = 2048
    tokens = (
        "GET /metrics HTTP/1.1",
        "Host: ",
        "Authorization: Bearer ",
        "Cookie: ",
        "Transfer-Encoding: chunked",
        "Content-Length: ",
        "Expect: 100-continue",
        "?token=",
        "/livez",
        "/events",
        "/report",
        "//",
        "%2e%2e",
    )

    def __init__(self, folder: Path) -> None:
        save_toy_bundle(folder / "bundle")
        settings = f'token = "{_TOKEN.decode()}"'
        self._monitor = Monitor(folder, folder / "bundle", free_port(), settings)  # there is no broker
        self._monitor.start()
        self._port = urlsplit(self._monitor.address).port
        self._count = 0
        self._open: deque[tuple[bytes, socket.socket]] = deque()

    @property
    def process_id(self) -> int:
        """The monitor's."""
        assert self._monitor.process is not None
        return self._monitor.process.pid

    def seeds(self) -> Iterator[bytes]:
        """Yield requests of each kind, with the token and without."""
        for path in (b"/", b"/livez", b"/readyz", b"/metrics", b"/report", b"/page.js", b"/nothing"):
            yield b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        for method in (b"HEAD", b"POST", b"OPTIONS"):
            yield method + b" /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\nab"
        yield b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + _TOKEN + b"\r\n\r\n"
        yield b"GET /?token=wrong HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: a=b\r\n\r\n"
        yield b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"

    def run(self, data: bytes) -> bool:
        """Send one stream of bytes; accepted if the response to an earlier one had the status 200.

        The monitor answers meanwhile: to wait for each answer would take 50 times as long.
        """
        _parse(data + _LAST_REQUEST)
        self._open.append((data, self._connect()))
        with suppress(ConnectionError):  # refused while bytes are under way
            self._open[-1][1].sendall(data + _LAST_REQUEST)
        return len(self._open) > _MAX_OPEN and self._check_oldest()

    def finish(self) -> None:
        """Wait for the last answers."""
        while self._open:
            self._check_oldest()

    def _connect(self) -> socket.socket:
        """Connect from another address each time, since there are limits for each."""
        self._count += 1
        source = f"127.{1 + self._count % 200}.{self._count // 200 % 250}.1"
        return socket.create_connection(("127.0.0.1", self._port), TIMEOUT_S, (source, 0))

    def _check_oldest(self) -> bool:
        """Read and check the answer to the oldest input; return whether a response had the status 200."""
        data, connection = self._open.popleft()
        with connection:
            answer = _read_all(connection)
        assert self._monitor.process is not None
        assert self._monitor.process.poll() is None, f"{self._monitor.log()[-2000:]} after {data!r}"
        assert b"HTTP/1.1 500" not in answer, f"{answer[:500]!r} to {data!r}"
        assert _PROTECTED_TEXT not in answer or _TOKEN in data, f"metrics without the token to {data!r}"
        return b"HTTP/1.1 200" in answer


def _parse(data: bytes) -> None:
    """Parse bytes as the monitor's server does: the fuzzer sees no branches but this process's."""
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(data)
    with suppress(h11.RemoteProtocolError):
        while parser.next_event() not in (h11.NEED_DATA, h11.PAUSED):
            pass


def _read_all(connection: socket.socket) -> bytes:
    """Return what comes until the connection is closed; tell the monitor that no more is sent to it."""
    answer = b""
    with suppress(OSError):  # it is closed already
        # Only now: a monitor that hadn't answered yet would no longer do so.
        connection.shutdown(socket.SHUT_WR)
    with suppress(ConnectionError):
        while part := connection.recv(1 << 16):
            answer += part
    return answer
