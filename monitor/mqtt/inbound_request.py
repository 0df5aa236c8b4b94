"""Turns paho's message into a request, with MQTT 5's response topic, correlation data and sender."""

from typing import Any

import paho.mqtt.client as paho

from monitor.core.messages import InboundRequest

__all__ = ["to_inbound_request"]

# User property in which a sender, or a broker that adds it, names the operator; longer names are cut.
_OPERATOR_PROPERTY, _MAX_NAME_LENGTH = "operator", 100


def to_inbound_request(message: paho.MQTTMessage, topic: str, ack_token: object) -> InboundRequest:
    """Return a message as a request."""
    properties: Any = message.properties
    response_topic: str | None = getattr(properties, "ResponseTopic", None)
    correlation: bytes | None = getattr(properties, "CorrelationData", None)
    user_properties: list[tuple[str, str]] = getattr(properties, "UserProperty", [])
    claimed = next((value for name, value in user_properties if name == _OPERATOR_PROPERTY), "")
    return InboundRequest(
        topic,
        bytes(message.payload),
        ack_token,
        message.retain,
        response_topic,
        correlation,
        claimed[:_MAX_NAME_LENGTH],
    )
