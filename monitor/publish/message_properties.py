"""What MQTT 5 lets a message say of itself beside its payload."""

from dataclasses import dataclass

from monitor.publish.payloads import SCHEMA
from monitor.storage.outbox import Outgoing

__all__ = ["JSON", "STATE_EXPIRY", "TEXT", "About", "about"]

STATE_EXPIRY = 24 * 3600
"""Seconds until the broker forgets a group's state: the last word of a monitor that is gone is no news."""


@dataclass(frozen=True, slots=True)
class About:
    """The properties of a message; MQTT 3.1.1 has no place for them."""

    content_type: str = ""
    """A MIME type; "" where there is no content."""
    expiry: int | None = None
    """Seconds until the broker forgets it; None: never."""
    user: tuple[tuple[str, str], ...] = ()
    """Names and values."""
    correlation: bytes | None = None
    """In an answer, what its request asked for."""


JSON, TEXT = About("application/json"), About("text/plain")


def about(message: Outgoing) -> About:
    """Return what a message of the outbox says of itself: it may be one of an earlier process."""
    if not message.payload:
        return About()
    if not message.bundle:
        return JSON
    expiry = STATE_EXPIRY if message.retain else None
    return About(JSON.content_type, expiry, (("schema", str(SCHEMA)), ("bundle", message.bundle)))
