"""The HTTP server in a thread of its own."""

import os
import socket
import threading

import uvicorn
from starlette.types import ASGIApp

from monitor.errors import ConfigurationError

__all__ = ["Server"]


class Server:
    """Serves an application until it is stopped.

    Parameters
    ----------
    app : the application.
    host, port : where to listen; port 0 takes any free one.

    Raises
    ------
    ConfigurationError : the address is in use or not this machine's.
    """

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        try:
            self._socket = socket.create_server((host, port), family=_family(host))
        except OSError as error:
            number = error.errno or 0
            reason = os.strerror(number).lower() if number > 0 else str(error.strerror)  # a resolver's is not
            raise ConfigurationError(
                f"http: can't listen on {host}:{port}: {reason}; expected a free port of this machine"
            ) from error
        self.address = f"http://{host}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and give the port back."""
        self._server.should_exit = True
        self._thread.join(timeout=2)
        self._socket.close()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
