"""Converts message properties to MQTT 5's."""

from functools import lru_cache

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from monitor.core.messages import MessageProperties

__all__ = ["encode_properties", "publish_properties", "will_properties"]


def publish_properties(message_properties: MessageProperties) -> Properties:
    """Return the properties of a PUBLISH packet."""
    return _to_paho(message_properties, PacketTypes.PUBLISH)


@lru_cache(maxsize=64)
def encode_properties(message_properties: MessageProperties | None) -> bytes:
    """Return the properties as bytes of a PUBLISH packet, with their length in front."""
    return b"\0" if message_properties is None else bytes(publish_properties(message_properties).pack())  # type: ignore[no-untyped-call]


def will_properties(message_properties: MessageProperties) -> Properties:
    """Return the properties of a will message."""
    return _to_paho(message_properties, PacketTypes.WILLMESSAGE)


# Cached: a burst of alerts has only a few different properties, and building one takes as long as publishing.
@lru_cache(maxsize=64)
def _to_paho(message_properties: MessageProperties, packet_type: int) -> Properties:
    properties = Properties(packet_type)  # type: ignore[no-untyped-call]
    if message_properties.content_type:
        properties.ContentType = message_properties.content_type
    if message_properties.expiry_s is not None:
        properties.MessageExpiryInterval = message_properties.expiry_s
    if message_properties.user_properties:
        properties.UserProperty = list(message_properties.user_properties)
    if message_properties.correlation_data is not None:
        properties.CorrelationData = message_properties.correlation_data
    return properties
