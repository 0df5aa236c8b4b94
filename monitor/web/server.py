"""The HTTP server, in a thread of its own."""

import asyncio
import errno
import gc
import os
import socket
import ssl
import threading
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from monitor.core.addresses import format_address
from monitor.core.errors import ConfigurationError, InUseError
from monitor.telemetry.http_refusals import CountRefusal
from monitor.web.acceptor import Acceptor
from monitor.web.certificate import ServerCertificate
from monitor.web.connections import LimitedConnection
from monitor.web.server_log import ThrottledServerLog

__all__ = ["Server", "listen"]

_THREAD_NAME = "http"

# Milliseconds after which the kernel closes a connection whose client does not acknowledge data: a page in a
# closed laptop must not hold memory here.
_TCP_USER_TIMEOUT_MS = 15_000
# Seconds for which the kernel keeps a connection on which nothing has come. So the request of a client that
# sends one at once is there when its connection is accepted: a flood of silent ones can't make it give way.
_SILENT_IN_KERNEL_S = 1
# Seconds between two runs of the garbage collector. A closed connection is a reference cycle, and by default
# Python would let thousands of them accumulate.
_GC_INTERVAL_S = 5
# Connections that the kernel keeps until they are accepted. With 128, a client in a burst of 1,100 would
# have to try again after 1 s.
_BACKLOG = 1024
# Turns of uvicorn's loop, of 0.1 s, between two looks for overdue connections.
_TICKS_PER_CHECK = 5
# The same between two looks for a renewed certificate: a minute.
_TICKS_PER_CERTIFICATE_CHECK = 600
# Seconds that open requests have to finish when the server stops.
_SHUTDOWN_TIMEOUT_S = 1


class Server:
    """Serves an application until it is stopped.

    Parameters
    ----------
    app : the application.
    host, port : address to listen on; port 0 for any free port.
    before_stop : called first by `stop`, to end responses that otherwise never end.
    certificate : for TLS; None for none.
    count_refusal : counts connections that were closed for others.

    Raises
    ------
    ConfigurationError, InUseError : as `listen`.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        before_stop: Callable[[], None] = lambda: None,
        certificate: ServerCertificate | None = None,
        count_refusal: CountRefusal = lambda _: None,
    ) -> None:
        self._socket = listen(host, port)
        self._socket.listen(_BACKLOG)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux only; accepted connections inherit it
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _TCP_USER_TIMEOUT_MS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _SILENT_IN_KERNEL_S)
        scheme = "https" if certificate else "http"
        self.address = f"{scheme}://{format_address(host, self._socket.getsockname()[1])}"
        config = uvicorn.Config(
            app,
            http=LimitedConnection,
            loop="asyncio",
            log_config=None,
            access_log=False,  # a URL may contain the token
            lifespan="on",
            ws="none",
            server_header=False,
            proxy_headers=False,  # anyone can write into X-Forwarded-For
            timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT_S,
            callback_notify=_collect_garbage,
            timeout_notify=_GC_INTERVAL_S,
        )
        self._before_stop = before_stop
        self._server = _LimitedServer(config, self._socket, certificate, count_refusal)
        self._log = ThrottledServerLog(_THREAD_NAME)
        self._thread = threading.Thread(target=self._serve, name=_THREAD_NAME, daemon=True)

    def _serve(self) -> None:
        self._server.run(sockets=[])

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
    """Leaves accepting connections to an acceptor, and closes those whose clients keep it waiting.

    Parameters
    ----------
    config : uvicorn's.
    listener : where clients connect.
    certificate, count_refusal : as in `Server`.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        certificate: ServerCertificate | None,
        count_refusal: CountRefusal,
    ) -> None:
        super().__init__(config)
        self._certificate = certificate
        self._acceptor = Acceptor(listener, self._create_connection, self._get_tls, count_refusal)
        self._accepting: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._accepting = asyncio.create_task(self._acceptor.run())

    async def on_tick(self, counter: int) -> bool:
        if self._accepting and self._accepting.done():
            self._accepting.result()  # ends the thread, and so the process: without it nobody is answered
        if counter % _TICKS_PER_CHECK == 0:
            self._acceptor.close_overdue()
        if self._certificate and counter % _TICKS_PER_CERTIFICATE_CHECK == 0:
            self._certificate.reload_if_renewed()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._accepting:
            self._accepting.cancel()
        await super().shutdown(sockets)

    def _create_connection(
        self, client: socket.socket, on_closed: Callable[[LimitedConnection], None]
    ) -> LimitedConnection:
        return LimitedConnection(self.config, self.server_state, self.lifespan.state, client, on_closed)

    def _get_tls(self) -> ssl.SSLContext | None:
        return self._certificate.context if self._certificate else None


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
