"""What a session receives: messages and requests, with their acknowledgement tokens."""

from collections.abc import Callable

import paho.mqtt.client as paho

from monitor.core.messages import DUP_FLAG, RETAIN_FLAG, ReadOnce, SessionListener
from monitor.mqtt.acknowledgements import Acknowledgements
from monitor.mqtt.bulk_client import BulkClient
from monitor.mqtt.client import MqttClient
from monitor.mqtt.inbound_request import InboundRequests
from monitor.mqtt.packet_parser import PacketLimit, PublishPacket
from monitor.mqtt.request_rate import RequestRate

__all__ = ["InboundMessages", "readable_topic"]

_UNDECODABLE_TOPIC = "\ufffd"  # matches no topic template, so the message is counted as unmatched


class InboundMessages:
    """Passes what a client receives to the listener of its session.

    Parameters
    ----------
    listener : of the session.
    acknowledgements : creates the tokens.
    request_filters : topic filters of the operators' requests, each ending in `/#`.
    on_requests_dropped : told how many requests were dropped because they came too fast; None: none are.
    limit : decides which messages that paho read lose their payload; None: none does.
    """

    def __init__(
        self,
        listener: SessionListener,
        acknowledgements: Acknowledgements,
        request_filters: tuple[str, ...],
        on_requests_dropped: Callable[[int], None] | None = None,
        limit: PacketLimit | None = None,
    ) -> None:
        self._listener = listener
        self._acknowledgements = acknowledgements
        self._requests = InboundRequests()
        self._request_rate = RequestRate()
        self._on_requests_dropped = on_requests_dropped
        self._limit = limit
        self.request_prefixes = tuple(topic_filter.removesuffix("#") for topic_filter in request_filters)
        """What the topics of requests begin with, the slash at the end included."""

    def admit_request(self) -> bool:
        """Return whether to read a request that has come now."""
        return self._request_rate.admit()

    def on_message(self, client: MqttClient, message: paho.MQTTMessage, *, is_unreadable: bool) -> None:
        """Forward a message that paho read.

        Parameters
        ----------
        client : that received it.
        is_unreadable : whether it has properties that can't be read.
        """
        topic = readable_topic(message)
        ack_token = self._acknowledgements.create_token(message.mid, message.qos)
        if not f"{topic}/".startswith(self.request_prefixes):
            flags = DUP_FLAG * message.dup | RETAIN_FLAG * message.retain
            packets = [(topic, bytes(message.payload), message.mid, flags)]
            if self._limit is not None:
                packets = self._limit.apply(packets, len(message.payload), may_be_large=True)
            _, payload, _, flags = packets[0]
            self._listener.on_messages([(topic, payload, ack_token, flags)], None)
        elif self._is_admitted(client, message):
            self._listener.on_request(
                self._requests.convert(message, topic, ack_token, is_unreadable=is_unreadable)
            )
        else:
            self._drop_requests(client, [ack_token])

    def on_excess_requests(self, client: MqttClient, packet_ids: list[int]) -> None:
        """Drop requests that the bulk client did not admit, given their packet identifiers (0 with QoS 0)."""
        tokens = [
            self._acknowledgements.create_token(packet_id, int(packet_id > 0)) for packet_id in packet_ids
        ]
        self._drop_requests(client, tokens)

    def on_publishes(self, packets: list[PublishPacket], read_once: ReadOnce | None) -> None:
        """Forward PUBLISH packets that the bulk client read without paho.

        Parameters
        ----------
        packets : in the order of arrival.
        read_once : lets the listener read from the socket on another thread until `on_messages` returns; None
            if that is not possible.
        """
        self._listener.on_messages(self._acknowledgements.to_messages(packets), read_once)

    def _is_admitted(self, client: MqttClient, message: paho.MQTTMessage) -> bool:
        if self._on_requests_dropped is None:
            return True
        was_admitted = (
            isinstance(client, BulkClient) and client.limits and message.qos in BulkClient.INTERCEPTED_QOS
        )
        return was_admitted or self._request_rate.admit()

    def _drop_requests(self, client: MqttClient, tokens: list[object]) -> None:
        self._acknowledgements.acknowledge(tokens, client)
        if self._on_requests_dropped:
            self._on_requests_dropped(len(tokens))


def readable_topic(message: paho.MQTTMessage) -> str:
    """Return a message's topic; a text that matches nothing if it is not UTF-8."""
    try:
        return message.topic
    except UnicodeDecodeError:
        return _UNDECODABLE_TOPIC
