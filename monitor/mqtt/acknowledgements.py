"""Acknowledgement of messages: on the connection that delivered them, and on no other."""

import itertools
import threading
from collections.abc import Iterable

from monitor.core.messages import InboundMessage
from monitor.mqtt.client import MqttClient
from monitor.mqtt.packet_parser import PublishPacket

__all__ = ["Acknowledgements"]

# Numbers every connection of this process, so that a token is valid for one connection of one session only.
_connection_numbers = itertools.count()


class Acknowledgements:
    """Creates acknowledgement tokens for the current connection, and acknowledges by them."""

    def __init__(self) -> None:
        # Guards `_connection_number`: a token of one connection must not acknowledge on the next.
        self._lock = threading.RLock()
        self._connection_number = next(_connection_numbers)

    def invalidate(self) -> None:
        """Invalidate all tokens: the connection has ended."""
        with self._lock:
            self._connection_number = next(_connection_numbers)

    def create_token(self, packet_id: int, qos: int) -> object:
        """Return the token of a packet; None with QoS 0, which is not acknowledged."""
        return (self._connection_number, packet_id, qos) if qos else None

    def to_messages(self, packets: list[PublishPacket]) -> list[InboundMessage]:
        """Return packets of QoS 0 and 1 as messages with their tokens."""
        connection = self._connection_number
        return [
            (topic, payload, (connection, packet_id, 1) if packet_id else None, flags)
            for topic, payload, packet_id, flags in packets
        ]

    def acknowledge(self, ack_tokens: Iterable[object], client: MqttClient) -> None:
        """Acknowledge the messages of these tokens; tokens of another connection have no effect."""
        with self._lock:
            current = [
                token
                for token in ack_tokens
                if isinstance(token, tuple) and token[0] == self._connection_number
            ]
            client.acknowledge([packet_id for _, packet_id, qos in current if qos == 1])
            for _, packet_id, qos in current:
                if qos != 1:
                    client.ack(packet_id, qos)
