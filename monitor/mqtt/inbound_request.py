"""Turns paho's message into a request, with MQTT 5's response topic and correlation data."""

from typing import Any

import paho.mqtt.client as paho

from monitor.core.messages import InboundRequest
from monitor.mqtt.publish_queue import MAX_TOPIC_SIZE

__all__ = ["to_inbound_request"]

# Brokers disconnect a client that publishes to a deeper topic, and again after each reconnect. Mosquitto's
# limit is 200.
_MAX_TOPIC_LEVELS = 100


def to_inbound_request(message: paho.MQTTMessage, topic: str, ack_token: object) -> InboundRequest:
    """Return a message as a request.

    A response topic that nobody could publish to is dropped: the sender may have put any text there.
    """
    properties: Any = message.properties
    response_topic: str | None = getattr(properties, "ResponseTopic", None)
    if response_topic is not None and not _is_valid_topic(response_topic):
        response_topic = None
    correlation: bytes | None = getattr(properties, "CorrelationData", None)
    return InboundRequest(
        topic, bytes(message.payload), ack_token, message.retain, response_topic, correlation
    )


def _is_valid_topic(topic: str) -> bool:
    return (
        topic != ""
        and not any(mark in topic for mark in "+#\0")
        and topic.count("/") < _MAX_TOPIC_LEVELS
        and len(topic.encode()) <= MAX_TOPIC_SIZE
    )
