"""What a session receives: messages and requests, with their acknowledgement tokens."""

import paho.mqtt.client as paho

from monitor.core.messages import DUP_FLAG, RETAIN_FLAG, ReadOnce, SessionListener
from monitor.mqtt.acknowledgements import Acknowledgements
from monitor.mqtt.inbound_request import InboundRequests
from monitor.mqtt.packet_parser import PublishPacket

__all__ = ["InboundMessages", "readable_topic"]

_UNDECODABLE_TOPIC = "\ufffd"  # matches no topic template, so the message is counted as unmatched


class InboundMessages:
    """Passes what a client receives to the listener of its session.

    Parameters
    ----------
    listener : of the session.
    acknowledgements : creates the tokens.
    request_filters : topic filters of the operators' requests, each ending in `/#`.
    """

    def __init__(
        self,
        listener: SessionListener,
        acknowledgements: Acknowledgements,
        request_filters: tuple[str, ...],
    ) -> None:
        self._listener = listener
        self._acknowledgements = acknowledgements
        self._requests = InboundRequests()
        self._request_prefixes = tuple(topic_filter.removesuffix("#") for topic_filter in request_filters)

    def on_message(self, message: paho.MQTTMessage, *, is_unreadable: bool) -> None:
        """Forward a message that paho read.

        Parameters
        ----------
        is_unreadable : whether it has properties that can't be read.
        """
        topic = readable_topic(message)
        ack_token = self._acknowledgements.create_token(message.mid, message.qos)
        if f"{topic}/".startswith(self._request_prefixes):
            self._listener.on_request(
                self._requests.convert(message, topic, ack_token, is_unreadable=is_unreadable)
            )
        else:
            flags = DUP_FLAG * message.dup | RETAIN_FLAG * message.retain
            self._listener.on_messages([(topic, bytes(message.payload), ack_token, flags)], None)

    def on_publishes(self, packets: list[PublishPacket], read_once: ReadOnce | None) -> None:
        """Forward PUBLISH packets that the bulk client read without paho.

        Parameters
        ----------
        packets : in the order of arrival.
        read_once : lets the listener read from the socket on another thread until `on_messages` returns; None
            if that is not possible.
        """
        self._listener.on_messages(self._acknowledgements.to_messages(packets), read_once)


def readable_topic(message: paho.MQTTMessage) -> str:
    """Return a message's topic; a text that matches nothing if it is not UTF-8."""
    try:
        return message.topic
    except UnicodeDecodeError:
        return _UNDECODABLE_TOPIC
