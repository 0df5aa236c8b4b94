"""Outcome of each published message: accepted or refused by the broker, or set aside unsent."""

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from paho.mqtt.reasoncodes import ReasonCode

from monitor.mqtt.client import MAX_QUEUED, MqttClient

__all__ = ["PublishResults"]

_log = logging.getLogger(__name__)

_LOG_INTERVAL_S = 60.0
"""Seconds between two log lines about refused messages."""
_MAX_NAMED_TOPICS = 1000
"""Topics of messages set aside that the log names: as many as an operator may read."""


class PublishResults:
    """Collects the ids of the messages that the broker accepted or refused, and reports the refused ones.

    A broker that refuses a message once refuses it again, so a refused message is done, like an accepted one.

    Parameters
    ----------
    on_refused : called for each message that the broker refuses.
    """

    def __init__(self, on_refused: Callable[[], None]) -> None:
        self._on_refused = on_refused
        self._logged_at = -_LOG_INTERVAL_S  # time of the last log line, monotonic seconds
        self._named_topics: set[str] = set()  # of messages that were set aside
        # Bounded: not every caller drains it.
        self._done: deque[tuple[int, float | None]] = deque(maxlen=2 * MAX_QUEUED)

    def add(self, message_id: int) -> None:
        """Record that the broker accepted a message; with QoS 0, that it was sent."""
        self._done.append((message_id, time.monotonic()))

    def add_refused(self, message_id: int, topic: str, reason_code: int) -> None:
        """Count and log that the broker refused a message."""
        self._add_lost(message_id)
        now = time.monotonic()
        if now - self._logged_at >= _LOG_INTERVAL_S:
            self._logged_at = now
            _log.error(
                "the broker refuses what is published to %r (reason %s), and these messages are lost; "
                "expected permission to publish there",
                topic[:200],
                reason_code,
            )

    def add_set_aside(self, message_id: int, topic: str, why: str) -> None:
        """Count that a message can't be sent, and log it once for each topic."""
        self._add_lost(message_id)
        if topic in self._named_topics or len(self._named_topics) >= _MAX_NAMED_TOPICS:
            return
        self._named_topics.add(topic)
        _log.error(
            "set aside a message for %r, which nobody gets: %s. Further ones on this topic are only counted",
            topic[:200],
            why,
        )
        if len(self._named_topics) == _MAX_NAMED_TOPICS:
            _log.error("messages for further topics that can't be sent are only counted")

    def on_publish(self, client: Any, _: Any, mid: int, reason_code: ReasonCode, __: Any) -> None:
        """Record the outcome of a message that paho itself published; paho's `on_publish` callback."""
        publisher: MqttClient = client
        if reason_code.is_failure:
            self.add_refused(mid, publisher.published_topic(mid), reason_code.value)
        else:
            self.add(mid)

    def drain(self) -> list[tuple[int, float | None]]:
        """Return the messages that are done since the last call.

        Each with its id and the monotonic time in seconds at which the broker accepted it; None if it never
        will.
        """
        return [self._done.popleft() for _ in range(len(self._done))]

    def _add_lost(self, message_id: int) -> None:
        self._on_refused()
        self._done.append((message_id, None))
