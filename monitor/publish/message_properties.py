"""What MQTT 5 lets a message say of itself beside its payload."""

from monitor.core.messages import JSON_PROPERTIES, MessageProperties, OutboundMessage
from monitor.publish.payloads import SCHEMA_VERSION

__all__ = ["STATE_EXPIRY_S", "message_properties"]

STATE_EXPIRY_S = 24 * 3600
"""Seconds until the broker forgets a group's state: the last word of a monitor that is gone is no news."""


def message_properties(message: OutboundMessage) -> MessageProperties:
    """Return what a message of the outbox says of itself: it may be one of an earlier process."""
    if not message.payload:
        return MessageProperties()
    if not message.bundle_id:
        return JSON_PROPERTIES
    expiry = STATE_EXPIRY_S if message.retain else None
    return MessageProperties(
        JSON_PROPERTIES.content_type, expiry, (("schema", str(SCHEMA_VERSION)), ("bundle", message.bundle_id))
    )
