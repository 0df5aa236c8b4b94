"""The pipeline's surroundings in the running daemon: broker, inbox and store behind four verbs."""

from collections.abc import Iterable, Sequence

from monitor.inbox import Inbox, Taken
from monitor.mqtt import Session
from monitor.records import Message
from monitor.store import MemoryStore, Outgoing

__all__ = ["Edge"]

# What paho may hold unconfirmed; the rest waits in the outbox, so that paho's own queue stays bounded.
_LARGEST_IN_FLIGHT = 1000


class Edge:
    """Joins what the pipeline takes from and gives to.

    Parameters
    ----------
    inbox : where the session puts messages.
    session : the connection to the broker.
    store : keeps state and the outbox.
    base_topic : all output goes below it.
    """

    def __init__(self, inbox: Inbox, session: Session, store: MemoryStore, base_topic: str) -> None:
        self._inbox = inbox
        self._session = session
        self._store = store
        self._base_topic = base_topic

    def take(self, timeout: float) -> Taken:
        """Return all that waits; wait for something at most `timeout` seconds."""
        return self._inbox.take(timeout)

    def commit(self, groups: Iterable[str], messages: Iterable[Outgoing]) -> None:
        """Make the changed groups' state and the messages to send permanent."""
        self._store.commit(groups, messages)

    def emit(self) -> bool:
        """Publish what the outbox holds, as far as the connection takes it; return whether it is empty."""
        outbox = self._store.outbox
        for number in self._session.delivered():
            outbox.delivered(number)
        while self._session.ready and outbox.in_flight < _LARGEST_IN_FLIGHT:
            message = outbox.first()
            if message is None:
                break
            number = self._session.publish(
                f"{self._base_topic}/{message.topic}", message.payload, retain=message.retain
            )
            outbox.sent(number)
        return len(outbox) == 0

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tell the broker that these messages are dealt with."""
        self._session.acknowledge([m.receipt for m in messages if m.receipt is not None])
