"""Remembers which kinds of messages brought connections down, so that others of a kind do less harm. No I/O.

MQTT 3.1.1 has no words for a message that the broker does not take: the broker closes the connection, and
closes it again each time that the message is sent again.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["MAX_ATTEMPTS", "RefusedKinds"]

MAX_ATTEMPTS = 3
"""Connections that a message may bring down before it is set aside: a network may break that often."""
_ATTEMPTS_OF_REFUSED_KIND = 1
# A kind is known to be refused after this many messages of one topic, or on this many topics if size is the
# common cause. Further ones are set aside unsent, except for one after each `_MEMORY_S` seconds.
_MESSAGES_OF_A_TOPIC, _TOPICS_OF_A_SIZE = 2, 3
_MEMORY_S = 600.0
_MAX_TOPICS = 1000


@dataclass(slots=True)
class _Kind:
    count: int = 0
    last_at: float = 0.0
    """Monotonic seconds."""


@dataclass(slots=True)
class _TooLarge(_Kind):
    size: int = 0
    """Bytes of the smallest packet that was set aside and is larger than every confirmed one."""
    topics: set[bytes] = field(default_factory=set)


class RefusedKinds:
    """The topics and the size of messages that were set aside.

    Parameters
    ----------
    monotonic : returns monotonic seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._topics: OrderedDict[bytes, _Kind] = OrderedDict()
        self._too_large: _TooLarge | None = None
        self._largest_confirmed = 0

    def max_attempts(self, topic: bytes, size: int) -> int:
        """Return how many connections such a message may bring down; 0: it is not to be sent at all."""
        if not self._topics and self._too_large is None:
            return MAX_ATTEMPTS
        attempts = self._attempts(self._topics.get(topic), _MESSAGES_OF_A_TOPIC)
        if self._too_large is not None and size >= self._too_large.size:
            attempts = min(attempts, self._attempts(self._too_large, _TOPICS_OF_A_SIZE))
        return attempts

    def add(self, topic: bytes, size: int) -> None:
        """Record that a message was set aside because it brought connections down."""
        kind = self._topics.setdefault(topic, _Kind())
        self._topics.move_to_end(topic)
        kind.count, kind.last_at = kind.count + 1, self._monotonic()
        if len(self._topics) > _MAX_TOPICS:
            self._topics.popitem(last=False)
        if size > self._largest_confirmed:
            too_large = self._too_large = self._too_large or _TooLarge(size=size)
            too_large.size, too_large.last_at = min(too_large.size, size), kind.last_at
            if len(too_large.topics) < _TOPICS_OF_A_SIZE:
                too_large.topics.add(topic)
            too_large.count = len(too_large.topics)

    def record_confirmed(self, topic: bytes, size: int) -> None:
        """Record that the broker took a message."""
        self._largest_confirmed = max(self._largest_confirmed, size)
        if self._too_large is not None and size >= self._too_large.size:
            self._too_large = None
        if self._topics:
            self._topics.pop(topic, None)

    def _attempts(self, kind: _Kind | None, proof: int) -> int:
        if kind is None:
            return MAX_ATTEMPTS
        if kind.count < proof or self._monotonic() - kind.last_at >= _MEMORY_S:
            return _ATTEMPTS_OF_REFUSED_KIND
        return 0
