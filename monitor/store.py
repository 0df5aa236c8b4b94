"""What must outlive a moment: the state of changed groups, and the outbox of what is still to be sent."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["MemoryStore", "Outbox", "Outgoing"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that is to be published with QoS 1."""

    topic: str
    """Below `base_topic`."""
    payload: bytes
    retain: bool
    """A retained message stands for now: a newer one on its topic replaces it while it waits."""


class Outbox:
    """Messages that wait to be published, and those that wait for the broker's word."""

    def __init__(self) -> None:
        self._waiting: dict[object, Outgoing] = {}
        self._in_flight: dict[object, Outgoing] = {}
        self._number = 0

    def __len__(self) -> int:
        """Return how many messages the broker has not confirmed yet."""
        return len(self._waiting) + len(self._in_flight)

    @property
    def in_flight(self) -> int:
        """How many are with the broker and unconfirmed."""
        return len(self._in_flight)

    def add(self, messages: Iterable[Outgoing]) -> None:
        """Append messages in their order."""
        for message in messages:
            self._number += 1
            key: object = message.topic if message.retain else self._number
            self._waiting.pop(key, None)
            self._waiting[key] = message

    def first(self) -> Outgoing | None:
        """Return the message that is to be published next."""
        return next(iter(self._waiting.values()), None)

    def sent(self, token: object) -> None:
        """Note that the first message is on its way under this token."""
        key = next(iter(self._waiting))
        self._in_flight[token] = self._waiting.pop(key)

    def delivered(self, token: object) -> None:
        """Note the broker's confirmation; an unknown token is somebody else's."""
        self._in_flight.pop(token, None)


class MemoryStore:
    """Keeps the outbox in memory: it dies with the process, as do the windows."""

    def __init__(self) -> None:
        self.outbox = Outbox()

    def commit(self, groups: Iterable[str], messages: Iterable[Outgoing]) -> None:  # noqa: ARG002
        """Make a batch's changed groups and its messages to send permanent, together."""
        self.outbox.add(messages)
