"""HTTP connections with limits: how many are open, and how long the server waits for a client."""

import asyncio
import resource
from collections.abc import Iterable

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = [
    "MAX_CONNECTIONS",
    "LimitedConnection",
    "close_longest_waiting",
    "close_overdue",
    "max_connections",
]

MAX_CONNECTIONS = 128
"""Connections that may be open at a time: a page keeps one open, and takes six while it loads."""
# Seconds from the opening of a connection, or from the end of the last response, to the end of a request.
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


class LimitedConnection(H11Protocol):
    """A connection that gives way to a new one when there are too many, and knows when its client is overdue.

    The one that gives way is the one whose client has kept the server waiting for the longest time, so that
    clients that send nothing or read nothing can't keep a health check out.
    """

    waiting_since = 0.0
    """When the server began to wait for the client, to send a request or to read a response; loop time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, and close another connection if there are too many now."""
        super().connection_made(transport)
        self.waiting_since = self.loop.time()
        if len(self.connections) > max_connections():
            self.logger.warning(
                "%s connections are open, the most there may be; closing those that send or read nothing",
                max_connections(),
            )
            close_longest_waiting(self.connections)

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

        uvicorn would answer there, too; h11 refuses that with an exception where a response has begun.
        """
        if not self.cycle:  # no request yet
            super().send_400_response(msg)
            return
        self.cycle.disconnected = True  # its response, if there is one, is sent no further
        self.cycle.message_event.set()
        self.transport.close()

    def _should_upgrade(self) -> bool:
        return False  # a request to upgrade may be ignored; uvicorn would log how to install websockets

    @property
    def is_waiting(self) -> bool:
        """Whether the server waits for the client."""
        return not self.cycle or self.cycle.response_complete or self.flow.write_paused

    @property
    def is_overdue(self) -> bool:
        """Whether the client has kept the server waiting for too long."""
        timeout_s = _RESPONSE_TIMEOUT_S if self.flow.write_paused else _REQUEST_TIMEOUT_S
        return self.is_waiting and self.loop.time() - self.waiting_since > timeout_s

    def abort(self) -> None:
        """Close the connection now; what is buffered for the client is lost."""
        self.connections.discard(self)  # at once: it must not be chosen twice
        self.transport.abort()


def close_overdue(connections: Iterable[asyncio.Protocol]) -> None:
    """Close the connections whose clients have kept the server waiting for too long."""
    for connection in _limited(connections):
        if connection.is_overdue:
            connection.abort()


def close_longest_waiting(connections: Iterable[asyncio.Protocol]) -> None:
    """Close the connection whose client has kept the server waiting for the longest time, if one has."""
    waiting = [connection for connection in _limited(connections) if connection.is_waiting]
    if waiting:
        min(waiting, key=lambda connection: connection.waiting_since).abort()


def _limited(connections: Iterable[asyncio.Protocol]) -> list[LimitedConnection]:
    return [connection for connection in connections if isinstance(connection, LimitedConnection)]
