"""The HTTP server, in a thread of its own."""

import errno
import gc
import os
import socket
import threading
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from monitor.core.errors import ConfigurationError, InUseError

__all__ = ["Server", "listen"]

# Milliseconds after which the kernel closes a connection whose client does not acknowledge data: a page in a
# closed laptop must not hold memory here.
_TCP_USER_TIMEOUT_MS = 15_000
# Seconds between two runs of the garbage collector. A closed connection is a reference cycle, and by default
# Python would let thousands of them accumulate.
_GC_INTERVAL_S = 5
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
        self.address = f"http://{host}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            app,
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
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Start answering requests."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering requests and release the port."""
        self._before_stop()
        self._server.should_exit = True
        self._thread.join(timeout=2)
        self._socket.close()


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
        text = f"http: can't listen on {host}:{port}: {reason}; expected a free port of this machine"
        raise (InUseError if number == errno.EADDRINUSE else ConfigurationError)(text) from error


async def _collect_garbage() -> None:
    gc.collect()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
