"""What is said of a message, as MQTT 5 packs it."""

from functools import lru_cache

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from monitor.core.messages import About

__all__ = ["of_message", "of_will", "packed"]


def of_message(about: About) -> Properties:
    """Return the properties of a PUBLISH packet."""
    return _make(about, PacketTypes.PUBLISH)


@lru_cache(maxsize=64)
def packed(about: About | None) -> bytes:
    """Return the same as they stand in the packet, with their length before them."""
    return b"\0" if about is None else bytes(of_message(about).pack())  # type: ignore[no-untyped-call]


def of_will(about: About) -> Properties:
    """Return the properties of the message that the broker publishes when a client dies."""
    return _make(about, PacketTypes.WILLMESSAGE)


@lru_cache(
    maxsize=64
)  # a burst of alerts has a few kinds of them, and making one takes as long as publishing
def _make(about: About, packet: int) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    if about.content_type:
        properties.ContentType = about.content_type
    if about.expiry is not None:
        properties.MessageExpiryInterval = about.expiry
    if about.user:
        properties.UserProperty = list(about.user)
    if about.correlation is not None:
        properties.CorrelationData = about.correlation
    return properties
