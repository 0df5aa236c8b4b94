"""The state of both connections to the broker, in log and metrics, in whatever order they come and go."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from monitor.telemetry.metrics import Metrics

__all__ = ["INPUT", "OUTPUT", "ConnectionStatus"]

_log = logging.getLogger(__name__)

INPUT, OUTPUT = "input", "output"
_WARNINGS = {
    INPUT: "%s; trying again until it works",
    OUTPUT: "alerts and states wait: %s; trying again until it works",
}
# A connection that comes and goes with the same reason is logged once in so many seconds.
_LOG_INTERVAL_S = 60.0


@dataclass(slots=True)
class _Connection:
    client_id: str
    is_up: bool = False
    problem: str = ""
    """Why it is down; "" if it is up, or was not tried yet."""
    is_logged: bool = True
    """Whether the log has `problem`."""
    logged_problem: str = ""
    logged_at: float = 0.0
    """When the log got `logged_problem`, monotonic seconds."""

    @property
    def cause(self) -> str:
        """The problem without the client id: the same for two connections that fail alike."""
        return self.problem.replace(repr(self.client_id), "")


class ConnectionStatus:
    """Is told of each connection what happens to it, on any thread.

    Parameters
    ----------
    metrics : of the process.
    client_ids : of the input and of the output.
    is_shared : whether input and output are one connection; then only `INPUT` is told of.
    monotonic : returns monotonic seconds.
    """

    def __init__(
        self,
        metrics: Metrics,
        client_ids: tuple[str, str],
        *,
        is_shared: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._is_shared = is_shared
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._connections = {
            name: _Connection(client_id) for name, client_id in zip((INPUT, OUTPUT), client_ids, strict=True)
        }

    def on_connected(self, name: str, text: str) -> None:
        """Take note of a connection that is up.

        Parameters
        ----------
        text : for the log.
        """
        with self._lock:
            connection = self._connections[name]
            # A connection that works from the start goes without saying, but for the one that starts it all.
            is_worth_logging = connection.is_logged and (name == INPUT or connection.problem)
            connection.is_up, connection.problem, connection.is_logged = True, "", True
            self._set_gauges()
            if is_worth_logging:
                _log.info("%s", text)
            for other_name, other in self._connections.items():
                if other.problem and not other.is_logged:  # it was left out because it was the same
                    self._log_problem(other_name, other)

    def on_disconnected(self, name: str, problem: str) -> None:
        """Take note of a connection that is down, or can't be made."""
        with self._lock:
            connection = self._connections[name]
            connection.is_up, connection.problem, connection.is_logged = False, problem, False
            self._set_gauges()
            others = (other for other_name, other in self._connections.items() if other_name != name)
            if any(other.is_logged and other.cause == connection.cause for other in others):
                return
            self._log_problem(name, connection)

    def _log_problem(self, name: str, connection: _Connection) -> None:
        now = self._monotonic()
        is_repeated = (
            connection.logged_problem == connection.problem and now - connection.logged_at < _LOG_INTERVAL_S
        )
        if is_repeated and connection.logged_at:
            return
        connection.is_logged, connection.logged_problem = True, connection.problem
        connection.logged_at = now
        _log.warning(_WARNINGS[name], connection.problem)

    def _set_gauges(self) -> None:
        is_input_up = self._connections[INPUT].is_up
        is_output_up = is_input_up if self._is_shared else self._connections[OUTPUT].is_up
        self._metrics.set_connections(is_input_up=is_input_up, is_output_up=is_output_up)
