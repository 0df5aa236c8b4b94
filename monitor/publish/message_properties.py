"""The MQTT 5 properties of published messages."""

from monitor.core.messages import JSON_PROPERTIES, MessageProperties, OutboundMessage
from monitor.publish.payloads import SCHEMA_VERSION

__all__ = ["STATE_EXPIRY_S", "message_properties"]

STATE_EXPIRY_S = 24 * 3600
"""Seconds after which the broker deletes a group's retained state. If the state was not published again for
that time, no monitor is running, and the last verdict is out of date."""


def message_properties(message: OutboundMessage) -> MessageProperties:
    """Return the properties of a message of the outbox.

    They depend only on the message, because an earlier process with another bundle may have created it.
    """
    if not message.payload.startswith((b"{", b"[")):  # empty, or a command to a Sparkplug edge node
        return MessageProperties()
    if not message.bundle_id:
        return JSON_PROPERTIES
    expiry_s = STATE_EXPIRY_S if message.retain else None
    user_properties = (("schema", str(SCHEMA_VERSION)), ("bundle", message.bundle_id))
    return MessageProperties(JSON_PROPERTIES.content_type, expiry_s, user_properties)
