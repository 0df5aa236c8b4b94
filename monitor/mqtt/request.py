"""What MQTT 5 says beside a message about its answer."""

from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

__all__ = ["about_answer", "correlated"]


def about_answer(message: paho.MQTTMessage) -> tuple[str | None, bytes | None]:
    """Return where the answer goes and what it must bear, each None where nothing is said.

    A response topic that nobody can publish to counts as none: it comes from the wire.
    """
    properties: Any = message.properties
    topic: str | None = getattr(properties, "ResponseTopic", None)
    if topic is not None and (not topic or any(mark in topic for mark in "+#\0")):
        topic = None
    return topic, getattr(properties, "CorrelationData", None)


def correlated(correlation: bytes) -> Properties:
    """Return the properties of an answer that bears `correlation`."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.CorrelationData = correlation
    return properties
