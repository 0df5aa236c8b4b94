"""What acknowledges a message: on the connection that it came by, and on no other."""

import itertools
import threading
from collections.abc import Iterable

from monitor.core.messages import InboundMessage
from monitor.mqtt.bulk_client import BulkClient
from monitor.mqtt.packet_parser import PublishPacket

__all__ = ["Acknowledgements"]

# Numbers every connection of this process, so that a receipt fits no other, of whichever session.
_connection_numbers = itertools.count()


class Acknowledgements:
    """Gives receipts for one connection at a time, and takes them back."""

    def __init__(self) -> None:
        # Guards `_connection_number`: an acknowledgement must not slip from one connection into the next.
        self._lock = threading.RLock()
        self._connection_number = next(_connection_numbers)

    def invalidate(self) -> None:
        """Forget all receipts: the connection is over."""
        with self._lock:
            self._connection_number = next(_connection_numbers)

    def create_token(self, packet_id: int, qos: int) -> object:
        """Return the receipt of a packet; None with QoS 0, which isn't acknowledged."""
        return (self._connection_number, packet_id, qos) if qos else None

    def to_messages(self, packets: list[PublishPacket]) -> list[InboundMessage]:
        """Return packets of QoS 0 and 1 with their receipts."""
        connection = self._connection_number
        return [
            (topic, payload, (connection, number, 1) if number else None, again)
            for topic, payload, number, again in packets
        ]

    def acknowledge(self, ack_tokens: Iterable[object], client: BulkClient) -> None:
        """Acknowledge what these stand for; those of another connection lapse."""
        with self._lock:
            current = [r for r in ack_tokens if isinstance(r, tuple) and r[0] == self._connection_number]
            client.acknowledge([number for _, number, qos in current if qos == 1])
            for _, number, qos in current:
                if qos != 1:
                    client.ack(number, qos)
