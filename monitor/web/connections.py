"""HTTP connections with limits: how many are open, and how long the server waits for a client."""

import asyncio
import resource
import socket
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from monitor.web.client_address import client_key
from monitor.web.security_headers import COMMON_HEADERS

__all__ = [
    "MAX_CONNECTIONS",
    "LimitedConnection",
    "close_overdue",
    "find_longest_waiting",
    "max_connections",
    "max_connections_per_client",
]

MAX_CONNECTIONS = 128
"""Connections that may be open at a time: a page keeps one open, and takes six while it loads."""
# Seconds from the opening of a connection, TLS's handshake included, or from the end of the last response, to
# the end of a request.
_REQUEST_TIMEOUT_S = 10.0
# Seconds in which a client takes what is buffered for it: 64 kB or one event of the full state, 150 kB.
_RESPONSE_TIMEOUT_S = 30.0


def max_connections() -> int:
    """Return how many connections may be open: at most half of the files that the process may open.

    The other half is for the broker, the store and the bundle, which must open theirs whatever HTTP clients
    do.
    """
    max_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if max_files == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, max_files // 2)


def max_connections_per_client() -> int:
    """Return how many connections one client may have.

    Half of all: a proxy is one client too, and needs one for each of 32 pages and some for other requests.
    """
    return max(1, max_connections() // 2)


class LimitedConnection(H11Protocol):
    """A connection that can be closed when its client keeps the server waiting.

    Parameters
    ----------
    config, server_state, app_state : uvicorn's.
    client_socket : the accepted connection.
    on_closed : called once it is closed.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        client_socket: socket.socket,
        on_closed: Callable[["LimitedConnection"], None],
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._socket = client_socket
        self._on_closed = on_closed
        self.client_key = client_key(client_socket.getpeername()[0])
        """The client that it counts for."""
        self.waiting_since = self.loop.time()
        """When the server began to wait for a request, or for the client to read; loop time."""
        self.is_aborted = False
        self._is_begun = False  # TLS's handshake comes first

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to read."""
        super().connection_made(transport)
        self._is_begun = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Let others know that there is room."""
        super().connection_lost(exc)
        self._on_closed(self)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self.waiting_since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Begin to wait for the client to read what is buffered for it."""
        self.waiting_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Go on with the response, or begin to wait for the next request."""
        self.waiting_since = self.loop.time()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what isn't HTTP, or only close the connection where it comes after or within a request.

        uvicorn would answer there, too; h11 refuses that with an exception where a response has begun. And it
        would send none of the headers that other responses have.
        """
        if self.cycle:
            self.cycle.disconnected = True  # its response, if there is one, is sent no further
            self.cycle.message_event.set()
        else:
            body = msg.encode()
            headers = [
                *((name.encode(), value.encode()) for name, value in COMMON_HEADERS.items()),
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            events = (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage())
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _should_upgrade(self) -> bool:
        return False  # a request to upgrade may be ignored; uvicorn would log how to install websockets

    @property
    def is_waiting(self) -> bool:
        """Whether the server waits for the client: for a request, its body, or that it reads a response."""
        if self.is_aborted:
            return False
        if not self._is_begun or not self.cycle or self.flow.write_paused:
            return True
        return self.cycle.response_complete or self.cycle.more_body

    @property
    def is_overdue(self) -> bool:
        """Whether the client has kept the server waiting for too long."""
        reads_slowly = self._is_begun and self.flow.write_paused
        timeout_s = _RESPONSE_TIMEOUT_S if reads_slowly else _REQUEST_TIMEOUT_S
        return self.is_waiting and self.loop.time() - self.waiting_since > timeout_s

    def abort(self) -> None:
        """Close the connection now; what is buffered for the client is lost."""
        self.is_aborted = True  # it must not be chosen twice
        self.connections.discard(self)
        if self._is_begun:
            self.transport.abort()
            return
        with suppress(OSError):  # the client has closed it
            self._socket.shutdown(socket.SHUT_RDWR)  # TLS's handshake fails by this


def close_overdue(connections: Iterable[LimitedConnection]) -> None:
    """Close the connections whose clients have kept the server waiting for too long."""
    for connection in list(connections):
        if connection.is_overdue:
            connection.abort()


def find_longest_waiting(connections: Collection[LimitedConnection]) -> LimitedConnection | None:
    """Return the connection that has to give way to another, None if the server waits for no client.

    Of the clients that keep the server waiting it is one with the most connections, and of its connections
    the one that has done so for the longest time: clients that send nothing or read nothing can't keep out a
    health check.
    """
    counts = Counter(connection.client_key for connection in connections)
    return min(
        (connection for connection in connections if connection.is_waiting),
        key=lambda connection: (-counts[connection.client_key], connection.waiting_since),
        default=None,
    )
