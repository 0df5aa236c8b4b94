"""Accepts connections, never more than there may be: the broker and the store need files, too."""

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections.abc import Callable

from monitor.telemetry.http_refusals import CountRefusal, Refusal
from monitor.web.connections import (
    LimitedConnection,
    close_overdue,
    find_longest_waiting,
    max_connections,
    max_connections_per_client,
)

__all__ = ["Acceptor"]

_log = logging.getLogger("uvicorn.error")  # what the server says is throttled there

# Seconds until another attempt where no file or memory was left for a connection.
_RETRY_S = 0.1
CreateConnection = Callable[[socket.socket, Callable[[LimitedConnection], None]], LimitedConnection]
"""Returns the protocol of an accepted connection; takes the function that it calls once it is closed."""


class Acceptor:
    """Accepts connections one after another; beyond a limit, one gives way to each new one.

    asyncio's own server accepts all that come, and with TLS nobody else knows of a connection before the end
    of its handshake.

    Parameters
    ----------
    listener : where clients connect.
    create : creates a connection's protocol.
    get_tls : returns the context for new connections; None for no TLS.
    count_refusal : counts a connection that was closed for another.
    """

    def __init__(
        self,
        listener: socket.socket,
        create: CreateConnection,
        get_tls: Callable[[], ssl.SSLContext | None],
        count_refusal: CountRefusal,
    ) -> None:
        self._listener = listener
        self._create = create
        self._get_tls = get_tls
        self._count_refusal = count_refusal
        self._open: set[LimitedConnection] = set()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._closed = asyncio.Event()

    async def run(self) -> None:
        """Accept connections until cancelled."""
        loop = asyncio.get_running_loop()
        self._listener.setblocking(False)  # noqa: FBT003, the library's
        while True:
            # So all connections together are one more than the limit at most: the next one is accepted once
            # the one that had to give way has freed its file.
            while len(self._open) > max_connections():
                self._closed.clear()
                await self._closed.wait()
            try:
                client, _ = await loop.sock_accept(self._listener)
            except ConnectionError:
                continue  # the client has gone
            except OSError as error:
                self._on_error(error)
                await asyncio.sleep(_RETRY_S)
                continue
            self._admit(client)
            await asyncio.sleep(0)  # accepting doesn't wait where clients do, and requests must be answered

    def close_overdue(self) -> None:
        """Close the connections whose clients have kept the server waiting for too long."""
        close_overdue(self._open)

    def _admit(self, client: socket.socket) -> None:
        try:
            connection = self._create(client, self._discard)
        except OSError:  # the client has gone, so it has no address
            client.close()
            return
        self._open.add(connection)
        task = asyncio.get_running_loop().create_task(self._establish(client, connection))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)
        same_client = [other for other in self._open if other.client_key == connection.client_key]
        if len(same_client) > max_connections_per_client():
            self._make_room(same_client, "of one client ")
        elif len(self._open) > max_connections():
            self._make_room(self._open, "")

    async def _establish(self, client: socket.socket, connection: LimitedConnection) -> None:
        """Do TLS's handshake if there is TLS, and let the connection begin."""
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, client, ssl=self._get_tls()
            )
        except OSError:  # no TLS, or the client has gone
            self._discard(connection)

    def _discard(self, connection: LimitedConnection) -> None:
        self._open.discard(connection)
        self._closed.set()

    def _make_room(self, connections: "set[LimitedConnection] | list[LimitedConnection]", whose: str) -> None:
        _log.warning(
            "%s connections %sare open, the most there may be; closing those that send or read nothing",
            len(connections) - 1,
            whose,
        )
        self._close_longest_waiting(connections)

    def _close_longest_waiting(self, connections: "set[LimitedConnection] | list[LimitedConnection]") -> None:
        connection = find_longest_waiting(connections)
        if connection is not None:
            self._count_refusal(Refusal.CONNECTIONS)
            connection.abort()

    def _on_error(self, error: OSError) -> None:
        expected = "expected a higher limit (ulimit -n, LimitNOFILE)" if error.errno == errno.EMFILE else ""
        _log.error(
            "no connection can be accepted: %s%s",
            os.strerror(error.errno or 0).lower(),
            f"; {expected}" if expected else "",
        )
        self._close_longest_waiting(self._open)
