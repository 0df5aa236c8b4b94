"""Requests: what the broker brings of them, and what MQTT 5 says beside a message about its answer."""

from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from monitor.listener import Asked

__all__ = ["asked", "correlated"]


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


def correlated(correlation: bytes) -> Properties:
    """Return the properties of an answer that bears `correlation`."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.CorrelationData = correlation
    return properties
