"""Publishes a recording as a plant would send it, with unchanged event times."""

import logging
import threading
import time

from monitor.cli.broker_client import ClientListener
from monitor.cli.replayed_messages import ReplayedMessages
from monitor.core.errors import RecordingError
from monitor.mqtt import Session

__all__ = ["Replayer"]

_log = logging.getLogger(__name__)

# Messages published and not yet confirmed: enough to keep the connection busy, few enough to hold in memory.
_MAX_IN_FLIGHT = 1000
# Seconds between two checks for confirmations while the replayer has nothing else to do.
_POLL_INTERVAL_S = 0.005


class Replayer(ClientListener):
    """Publishes the messages of one recording.

    Parameters
    ----------
    messages : what to publish.
    speed : seconds of the recording per second of real time; 0: as fast as the broker confirms.
    """

    def __init__(self, messages: ReplayedMessages, speed: float) -> None:
        super().__init__()
        self._messages = messages
        self._speed = speed
        self.published_count = 0
        """Number of messages published so far."""

    def run(self, session: Session, qos: int, stop: threading.Event) -> None:
        """Publish messages until the last one or until `stop` is set, and wait for the confirmations.

        Raises
        ------
        RecordingError : a row can't be read or has no topic.
        OperationError : the broker can't be reached.
        """
        session.start()
        try:
            self.wait_for_connection(stop)
            self._publish(session, qos, stop)
        finally:
            session.stop(timeout=1.0)

    def check_usable(self) -> None:
        """Refuse a recording that was published without one row that a monitor could judge.

        Raises
        ------
        RecordingError : it is one.
        """
        if not self._messages.usable_count:
            raise RecordingError(
                f"{self._messages.path}: no row can be judged; {self._messages.first_problem}"
            )

    def on_connection_lost(self, reason: str) -> None:
        """Log the reason: the session reconnects, and the replay continues."""
        _log.warning("%s; trying again", reason)

    def _publish(self, session: Session, qos: int, stop: threading.Event) -> None:
        unconfirmed: set[int] = set()
        begin = time.monotonic()
        first_sent_at: float | None = None
        for sent_at, topic, payload in self._messages:
            if sent_at is not None:
                first_sent_at = sent_at if first_sent_at is None else first_sent_at
                if self._speed:
                    stop.wait(max(0.0, begin + (sent_at - first_sent_at) / self._speed - time.monotonic()))
            while len(unconfirmed) >= _MAX_IN_FLIGHT and not stop.wait(_POLL_INTERVAL_S):
                unconfirmed.difference_update(session.take_delivered())
            if stop.is_set():
                break
            unconfirmed.add(session.publish(topic, payload, qos=qos))
            self.published_count += 1
        while unconfirmed and not stop.wait(_POLL_INTERVAL_S):
            unconfirmed.difference_update(session.take_delivered())
