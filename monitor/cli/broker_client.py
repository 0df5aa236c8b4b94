"""The MQTT client of the commands that connect to a broker: the session and its listener."""

import threading
from collections.abc import Sequence

from monitor.config.settings import Settings
from monitor.core.errors import OperationError
from monitor.core.messages import InboundMessage, InboundRequest, ReadOnce, SessionListener
from monitor.mqtt import Session, SessionOptions

__all__ = ["ClientListener", "build_session"]

_POLL_INTERVAL_S = 0.1


class ClientListener(SessionListener):
    """Waits for the outcome of the first attempt to connect and ignores everything else.

    Commands override the methods that they need.
    """

    def __init__(self) -> None:
        self.answered = threading.Event()
        """Set once the first attempt to connect has succeeded or failed."""
        self.problem = ""
        """Why the first attempt to connect failed; "" if it succeeded."""

    def wait_for_connection(self, stop: threading.Event) -> bool:
        """Wait for the first connection; return False if `stop` is set before there is an outcome.

        Raises
        ------
        OperationError : the broker can't be reached or refuses the client.
        """
        while not self.answered.wait(_POLL_INTERVAL_S):
            if stop.is_set():
                return False
        self.raise_problem()
        return True

    def raise_problem(self) -> None:
        """Raise `problem`, if there is one, as an `OperationError`."""
        if self.problem:
            raise OperationError(self.problem)

    def on_connected(self) -> None:
        """Record that the client is connected and subscribed."""
        self.answered.set()

    def on_disconnected(self, reason: str) -> None:
        """Record why the first attempt failed; pass later disconnections to `on_connection_lost`."""
        if self.answered.is_set():
            self.on_connection_lost(reason)
        else:
            self.problem = reason
            self.answered.set()

    def on_connection_lost(self, reason: str) -> None:
        """Do nothing after a later disconnection: the session reconnects."""

    def on_taken_over(self) -> None:
        """Do nothing: it concerns monitors, whose client ids are claimed."""

    def on_session_taken(self) -> None:
        """Do nothing: the session reconnects."""

    def on_session_lost(self) -> None:
        """Do nothing: the broker keeps no session of a command."""

    def on_publish_failed(self) -> None:
        """Do nothing: the session logs it."""

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:
        """Do nothing; commands that receive messages override it."""

    def on_request(self, request: InboundRequest) -> None:
        """Do nothing: commands subscribe to no requests."""


def build_session(
    settings: Settings, client_id: str, listener: ClientListener, *, filters: tuple[str, ...] = ()
) -> Session:
    """Return a session for the broker in the settings; `Session.start` connects to the broker.

    Parameters
    ----------
    client_id : must differ from the monitor's client id, else the broker would disconnect the monitor.
    filters : the topic filters that the session subscribes to.

    Raises
    ------
    ConfigurationError : a secret, certificate or key can't be used.
    """
    options = SessionOptions(filters=filters)
    # A broker that takes logins for client ids would end the daemon's stored session for the other login.
    return Session(settings.mqtt.for_publishing, client_id, listener, options)
