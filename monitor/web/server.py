"""The HTTP server in a thread of its own."""

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

# A client that doesn't take what it is sent for so long, in milliseconds, is cut by the kernel: a page in a
# laptop that was closed must not keep memory here.
_TCP_USER_TIMEOUT_MS = 15_000
# How often cycles are looked for, in seconds. A connection that ended is one, and by itself Python would let
# thousands of them collect first.
_GC_INTERVAL_S = 5
# How long requests may take to end once the server stops, in seconds.
_SHUTDOWN_TIMEOUT_S = 1


class Server:
    """Serves an application until it is stopped.

    Parameters
    ----------
    app : the application.
    host, port : where to listen; port 0 takes any free one.
    before_stop : ends the answers that have no end.

    Raises
    ------
    ConfigurationError, InUseError : as `listen`.
    """

    def __init__(
        self, app: ASGIApp, host: str, port: int, before_stop: Callable[[], None] = lambda: None
    ) -> None:
        self._socket = listen(host, port)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # not outside of Linux; what is accepted inherits it
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _TCP_USER_TIMEOUT_MS)
        self.address = f"http://{host}:{self._socket.getsockname()[1]}"
        # No access log: an address may have a token in it.
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="on", ws="none", server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT_S, callback_notify=_collect_garbage, timeout_notify=_GC_INTERVAL_S,
        )  # fmt: skip
        self._before_stop = before_stop
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and give the port back."""
        self._before_stop()
        self._server.should_exit = True
        self._thread.join(timeout=2)
        self._socket.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; port 0 takes any free one.

    Raises
    ------
    ConfigurationError : the address is not this machine's, or not for us to take.
    InUseError : another process has it.
    """
    try:
        return socket.create_server((host, port), family=_family(host))
    except OSError as error:
        number = error.errno or 0
        reason = os.strerror(number).lower() if number > 0 else str(error.strerror)  # a resolver's is not
        text = f"http: can't listen on {host}:{port}: {reason}; expected a free port of this machine"
        raise (InUseError if number == errno.EADDRINUSE else ConfigurationError)(text) from error


async def _collect_garbage() -> None:
    gc.collect()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
