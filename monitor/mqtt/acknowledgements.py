"""What acknowledges a message: on the connection that it came by, and on no other."""

import itertools
import threading
from collections.abc import Iterable

from monitor.core.messages import Delivery
from monitor.mqtt.bulk_client import BulkClient
from monitor.mqtt.packet_parser import Publish

__all__ = ["Receipts"]

# Numbers every connection of this process, so that a receipt fits no other, of whichever session.
_connections = itertools.count()


class Receipts:
    """Gives receipts for one connection at a time, and takes them back."""

    def __init__(self) -> None:
        # Guards `_connection`: an acknowledgement must not slip from one connection into the next.
        self._acknowledging = threading.RLock()
        self._connection = next(_connections)

    def lapse(self) -> None:
        """Forget all receipts: the connection is over."""
        with self._acknowledging:
            self._connection = next(_connections)

    def give(self, number: int, qos: int) -> object:
        """Return the receipt of a packet; None with QoS 0, which isn't acknowledged."""
        return (self._connection, number, qos) if qos else None

    def deliveries(self, publishes: list[Publish]) -> list[Delivery]:
        """Return packets of QoS 0 and 1 with their receipts."""
        connection = self._connection
        return [
            (topic, payload, (connection, number, 1) if number else None, again)
            for topic, payload, number, again in publishes
        ]

    def take(self, receipts: Iterable[object], client: BulkClient) -> None:
        """Acknowledge what these stand for; those of another connection lapse."""
        with self._acknowledging:
            current = [r for r in receipts if isinstance(r, tuple) and r[0] == self._connection]
            client.acknowledge([number for _, number, qos in current if qos == 1])
            for _, number, qos in current:
                if qos != 1:
                    client.ack(number, qos)
