"""What MQTT 5 lets a message say of itself beside its payload."""

from monitor.core.messages import JSON, About, Outgoing
from monitor.publish.payloads import SCHEMA

__all__ = ["STATE_EXPIRY", "about"]

STATE_EXPIRY = 24 * 3600
"""Seconds until the broker forgets a group's state: the last word of a monitor that is gone is no news."""


def about(message: Outgoing) -> About:
    """Return what a message of the outbox says of itself: it may be one of an earlier process."""
    if not message.payload:
        return About()
    if not message.bundle:
        return JSON
    expiry = STATE_EXPIRY if message.retain else None
    return About(JSON.content_type, expiry, (("schema", str(SCHEMA)), ("bundle", message.bundle)))
