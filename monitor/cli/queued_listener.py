"""A client that listens for a while: what comes waits in a queue for the command's own thread."""

from collections.abc import Sequence

from monitor.cli.broker_client import ClientListener
from monitor.core.messages import InboundMessage, ReadOnce
from monitor.mqtt.receive_queue import ReceiveQueue

__all__ = ["QueuedListener"]


class QueuedListener(ClientListener):
    """Queues messages for the thread that takes them from `_queue`."""

    def __init__(self) -> None:
        super().__init__()
        self._queue = ReceiveQueue()

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:  # noqa: ARG002, never used
        """Queue messages."""
        self._queue.put(messages)
