"""What the broker answered to each message that was published with QoS 1: it has it, or refused it."""

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from paho.mqtt.reasoncodes import ReasonCode

from monitor.mqtt.client import MAX_QUEUED

__all__ = ["PublishResults"]

_log = logging.getLogger(__name__)

# How often it is said that the broker refuses what it is sent, in seconds.
_LOG_INTERVAL_S = 60.0


class PublishResults:
    """Keeps the numbers of the messages that the broker answered, and tells which of them nobody gets.

    A message that the broker refuses once it refuses again, so it is over like one that arrived.

    Parameters
    ----------
    on_refused : is called for each message that the broker refuses.
    """

    def __init__(self, on_refused: Callable[[], None]) -> None:
        self._on_refused = on_refused
        self._logged_at = (
            -_LOG_INTERVAL_S
        )  # when it was last said that something was refused, monotonic seconds
        self._message_ids: deque[int] = deque(maxlen=2 * MAX_QUEUED)  # not every caller asks

    def add(self, message_id: int) -> None:
        """Hear that a message is over."""
        self._message_ids.append(message_id)

    def add_refused(self, topic: str, reason_code: int) -> None:
        """Hear that the broker refused a message."""
        self._on_refused()
        now = time.monotonic()
        if now - self._logged_at >= _LOG_INTERVAL_S:
            self._logged_at = now
            _log.error(
                "the broker refuses what is published to %r (reason %s), and nobody gets it; "
                "expected the right to write there", topic[:200], reason_code,
            )  # fmt: skip

    def on_publish(self, client: Any, _: Any, mid: int, reason_code: ReasonCode, __: Any) -> None:
        """Hear from a `BulkClient` that a message which paho itself published is over."""
        if reason_code.is_failure:
            self.add_refused(client.topic_of(mid), reason_code.value)
        self.add(mid)

    def drain(self) -> list[int]:
        """Return the numbers of the messages that are over since the last call."""
        return [self._message_ids.popleft() for _ in range(len(self._message_ids))]
