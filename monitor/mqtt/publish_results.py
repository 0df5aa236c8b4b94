"""What the broker answered to each message that was published with QoS 1: it has it, or refused it."""

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from paho.mqtt.reasoncodes import ReasonCode

from monitor.mqtt.client import LARGEST_QUEUE

__all__ = ["Confirmations"]

_log = logging.getLogger(__name__)

# How often it is said that the broker refuses what it is sent, in seconds.
_SAY_EVERY = 60.0


class Confirmations:
    """Keeps the numbers of the messages that the broker answered, and tells which of them nobody gets.

    A message that the broker refuses once it refuses again, so it is over like one that arrived.

    Parameters
    ----------
    refused : is called for each message that the broker refuses.
    """

    def __init__(self, refused: Callable[[], None]) -> None:
        self._refused = refused
        self._said_at = -_SAY_EVERY  # when it was last said that something was refused, monotonic seconds
        self._numbers: deque[int] = deque(maxlen=2 * LARGEST_QUEUE)  # not every caller asks

    def add(self, number: int) -> None:
        """Hear that a message is over."""
        self._numbers.append(number)

    def refuse(self, topic: str, reason: int) -> None:
        """Hear that the broker refused a message."""
        self._refused()
        now = time.monotonic()
        if now - self._said_at >= _SAY_EVERY:
            self._said_at = now
            _log.error(
                "the broker refuses what is published to %r (reason %s), and nobody gets it; "
                "expected the right to write there", topic[:200], reason,
            )  # fmt: skip

    def on_publish(self, client: Any, _: Any, number: int, reason: ReasonCode, __: Any) -> None:
        """Hear from a `BulkClient` that a message which paho itself published is over."""
        if reason.is_failure:
            self.refuse(client.topic_of(number), reason.value)
        self.add(number)

    def take(self) -> list[int]:
        """Return the numbers of the messages that are over since the last call."""
        return [self._numbers.popleft() for _ in range(len(self._numbers))]
