"""A request, with what MQTT 5 says beside it about its answer."""

from typing import Any

import paho.mqtt.client as paho

from monitor.core.messages import Asked
from monitor.mqtt.publish_queue import LONGEST_TOPIC

__all__ = ["asked"]

# Brokers hang up on who publishes to topics that are deeper, and it would be the same again after each
# reconnect: mosquitto's limit is 200.
_MOST_LEVELS = 100


def asked(message: paho.MQTTMessage, topic: str, receipt: object) -> Asked:
    """Return a request as it came.

    A response topic that nobody can publish to counts as none: it comes from the wire.
    """
    properties: Any = message.properties
    answer_to: str | None = getattr(properties, "ResponseTopic", None)
    if answer_to is not None and not _can_be_published_to(answer_to):
        answer_to = None
    correlation: bytes | None = getattr(properties, "CorrelationData", None)
    return Asked(topic, bytes(message.payload), receipt, message.retain, answer_to, correlation)


def _can_be_published_to(topic: str) -> bool:
    return (
        topic != ""
        and not any(mark in topic for mark in "+#\0")
        and topic.count("/") < _MOST_LEVELS
        and len(topic.encode()) <= LONGEST_TOPIC
    )
