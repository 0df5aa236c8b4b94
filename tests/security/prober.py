"""Asks `/livez` all the time, as an orchestrator does."""

import http.client
import threading
from urllib.parse import urlsplit

from tests.conftest import TIMEOUT_S, wait_until

__all__ = ["Prober"]

_INTERVAL_S = 0.1
_DEADLINE_S = 2.0
"""Seconds that an answer may take: common health checks wait for 1 s to 10 s, and fail after three such."""


class Prober:
    """A thread that requests `/livez`, and keeps what went wrong.

    Parameters
    ----------
    address : of the monitor's HTTP, as in http://127.0.0.1:9108.
    """

    def __init__(self, address: str) -> None:
        self._location = urlsplit(address)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prober", daemon=True)
        self.answer_count = 0
        self.failures: list[str] = []

    def start(self) -> None:
        """Start, and wait for the first answer."""
        self._thread.start()
        wait_until(lambda: self.answer_count or self.failures, "/livez is answered")

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join(TIMEOUT_S)

    def _run(self) -> None:
        while not self._closed.wait(_INTERVAL_S):
            try:
                status = self._request()
            except OSError as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            else:
                self.answer_count += status == http.HTTPStatus.OK
                if status != http.HTTPStatus.OK:
                    self.failures.append(f"status {status}")

    def _request(self) -> int:
        # `http.client` raises further exceptions for half an answer; they derive from HTTPException.
        connection = http.client.HTTPConnection(
            str(self._location.hostname), self._location.port, timeout=_DEADLINE_S
        )
        try:
            connection.request("GET", "/livez")
            return connection.getresponse().status
        except http.client.HTTPException as error:
            raise OSError(f"no whole answer: {error!r}") from error
        finally:
            connection.close()
