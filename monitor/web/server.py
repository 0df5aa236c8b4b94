"""The HTTP server, in a thread of its own."""

import asyncio
import errno
import gc
import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from monitor.core.addresses import format_address
from monitor.core.errors import ConfigurationError, InUseError
from monitor.web.connections import LimitedConnection, close_longest_waiting, close_overdue
from monitor.web.server_log import ThrottledServerLog

__all__ = ["Server", "listen"]

_log = logging.getLogger("uvicorn.error")  # what the server says is throttled there

_THREAD_NAME = "http"
_NO_FILE_LEFT = {errno.EMFILE, errno.ENFILE}  # of the process, or of the machine

# Milliseconds after which the kernel closes a connection whose client does not acknowledge data: a page in a
# closed laptop must not hold memory here.
_TCP_USER_TIMEOUT_MS = 15_000
# Seconds between two runs of the garbage collector. A closed connection is a reference cycle, and by default
# Python would let thousands of them accumulate.
_GC_INTERVAL_S = 5
# Connections that are accepted in one turn of the event loop. Between two turns those beyond the limit are
# closed, so a burst of thousands opens only a few files beyond it.
_ACCEPTS_PER_TURN = 4
# Connections that the kernel keeps until they are accepted.
_BACKLOG = 128
# Turns of uvicorn's loop, of 0.1 s, between two looks for overdue connections.
_TICKS_PER_CHECK = 5
# Seconds that open requests have to finish when the server stops.
_SHUTDOWN_TIMEOUT_S = 1


class Server:
    """Serves an application until it is stopped.

    Parameters
    ----------
    app : the application.
    host, port : address to listen on; port 0 for any free port.
    before_stop : called first by `stop`, to end responses that otherwise never end.

    Raises
    ------
    ConfigurationError, InUseError : as `listen`.
    """

    def __init__(
        self, app: ASGIApp, host: str, port: int, before_stop: Callable[[], None] = lambda: None
    ) -> None:
        self._socket = listen(host, port)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux only; accepted connections inherit it
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _TCP_USER_TIMEOUT_MS)
        self.address = f"http://{format_address(host, self._socket.getsockname()[1])}"
        config = uvicorn.Config(
            app,
            http=LimitedConnection,
            loop="asyncio",
            backlog=_ACCEPTS_PER_TURN,
            log_config=None,
            access_log=False,  # a URL may contain the token
            lifespan="on",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT_S,
            callback_notify=_collect_garbage,
            timeout_notify=_GC_INTERVAL_S,
        )
        self._before_stop = before_stop
        self._server = _LimitedServer(config)
        self._log = ThrottledServerLog(_THREAD_NAME)
        self._thread = threading.Thread(target=self._serve, name=_THREAD_NAME, daemon=True)

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Start answering requests."""
        self._log.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop answering requests and release the port."""
        self._before_stop()
        self._server.should_exit = True
        self._thread.join(timeout=2)
        self._socket.close()
        self._log.stop()


class _LimitedServer(uvicorn.Server):
    """Closes connections whose clients keep it waiting, and lets the kernel keep a burst of them."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(self._on_loop_exception)
        await super().startup(sockets)
        for listening in sockets or []:
            listening.listen(_BACKLOG)  # asyncio takes one number for this and for the accepts per turn

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS_PER_CHECK == 0:
            close_overdue(self.server_state.connections)
        return await super().on_tick(counter)

    def _on_loop_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Make room where no file is left for a connection; asyncio tries to accept it again after 1 s."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in _NO_FILE_LEFT:
            _log.error(
                "no connection can be accepted: %s; expected a higher limit (ulimit -n, LimitNOFILE)",
                os.strerror(error.errno).lower(),
            )
            close_longest_waiting(self.server_state.connections)
        else:
            loop.default_exception_handler(context)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; port 0 for any free port.

    Raises
    ------
    ConfigurationError : the address is not one of this machine's, or this process may not use it.
    InUseError : another process listens there.
    """
    try:
        return socket.create_server((host, port), family=_family(host))
    except OSError as error:
        number = error.errno or 0
        reason = (
            os.strerror(number).lower() if number > 0 else str(error.strerror)
        )  # a resolver's error has a negative number
        address = format_address(host, port)
        text = f"http: can't listen on {address}: {reason}; expected a free port of this machine"
        raise (InUseError if number == errno.EADDRINUSE else ConfigurationError)(text) from error


async def _collect_garbage() -> None:
    gc.collect()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
