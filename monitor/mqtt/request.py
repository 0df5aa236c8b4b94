"""A request, with what MQTT 5 says beside it about its answer."""

from typing import Any

import paho.mqtt.client as paho

from monitor.listener import Asked

__all__ = ["asked"]


def asked(message: paho.MQTTMessage, topic: str, receipt: object) -> Asked:
    """Return a request as it came.

    A response topic that nobody can publish to counts as none: it comes from the wire.
    """
    properties: Any = message.properties
    answer_to: str | None = getattr(properties, "ResponseTopic", None)
    if answer_to is not None and (not answer_to or any(mark in answer_to for mark in "+#\0")):
        answer_to = None
    correlation: bytes | None = getattr(properties, "CorrelationData", None)
    return Asked(topic, bytes(message.payload), receipt, message.retain, answer_to, correlation)
