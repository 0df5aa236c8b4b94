"""A reverse proxy that serves a monitor below a path and removes it, as nginx, Caddy and Traefik do."""

import http.client
import threading
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit


class _Server(ThreadingHTTPServer):
    """Has what its handlers need to know."""

    def __init__(self, target_host: str, prefix: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target_host = target_host
        self.prefix = prefix
        self.unmatched_paths: list[str] = []
        self.dropped_headers: set[str] = set()


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["content-length"])))

    def _answer(self, body: bytes | None) -> None:
        prefix = self.server.prefix
        if self.path.startswith(f"{prefix}/"):
            with (
                suppress(OSError, http.client.HTTPException),
                closing(http.client.HTTPConnection(self.server.target_host)) as connection,
            ):
                self._forward(connection, body)
        elif self.path.partition("?")[0] == prefix:
            self.send_response(301)
            self.send_header("location", self.path.replace(prefix, f"{prefix}/", 1))
            self.end_headers()
        elif self.path == "/favicon.ico":  # which browsers ask for where a page names no icon: /metrics
            self.send_response(204)
            self.end_headers()
        else:
            self.server.unmatched_paths.append(self.path)
            self.send_error(404)

    def _forward(self, connection: http.client.HTTPConnection, body: bytes | None) -> None:
        path = self.path.removeprefix(self.server.prefix)
        dropped = self.server.dropped_headers
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        connection.request(self.command, path, body, headers=headers)
        with connection.getresponse() as answer:
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "connection"}:
                    self.send_header(name, value)
            self.end_headers()
            while data := answer.read1(65536):
                self.wfile.write(data)  # unbuffered: events pass at once

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class PathProxy:
    """Passes requests below `prefix` on without it, and redirects `prefix` to `prefix/`.

    Parameters
    ----------
    target : address of the monitor.
    prefix : path below which it is served, e.g. `/monitor`.
    """

    def __init__(self, target: str, prefix: str) -> None:
        self._server = _Server(urlsplit(target).netloc, prefix)
        self.unmatched_paths = self._server.unmatched_paths
        """Paths that were asked for and are not below the prefix."""
        self.dropped_headers = self._server.dropped_headers
        """Names, in lower case, of a request's headers that it doesn't pass on."""
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.host = f"http://127.0.0.1:{self._server.server_port}"
        """Where the proxy answers."""
        self.address = f"{self.host}{prefix}"
        """Where it serves the monitor; without the slash at the end."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
