"""What a session subscribes to and publishes of itself."""

from collections.abc import Callable
from dataclasses import dataclass

from monitor.core.messages import MessageProperties
from monitor.mqtt.packet_parser import PacketLimit

__all__ = ["Birth", "SessionOptions"]

Birth = tuple[str, bytes, MessageProperties]
"""Topic, payload and properties of a message that is published retained after every connect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """The subscriptions of a session, and the messages about itself."""

    filters: tuple[str, ...] = ()
    """Topic filters of the sensor readings, subscribed to after every connect."""
    previous_filters: tuple[str, ...] = ()
    """Filters of the previous session with this client id; those not used by this one are unsubscribed."""
    births: tuple[Birth, ...] = ()
    """Messages published retained after every connect, once the broker has confirmed the subscriptions."""
    takeover_topic: str = ""
    """Topic of the retained birth message by which an instance detects that a newer one has taken over: of
    two instances with the same client id, which disconnect each other, the older one receives the newer
    one's birth message and stops. After any other client with its id it reconnects. "": no check."""
    request_filters: tuple[str, ...] = ()
    """Topic filters of the operators' requests, each ending in `/#`."""
    on_requests_dropped: Callable[[int], None] | None = None
    """Called with the number of requests that came too fast, which are acknowledged and dropped; None:
    requests are not limited."""
    will: tuple[str, bytes] | None = None
    """Topic and payload published retained: by the broker when this client dies, by `stop` when it leaves."""
    probe_client_id: str = ""
    """Client id of the connection that finds out the broker's version; "": `<client_id>-version`."""
    follow_version: Callable[[Callable[[bool], None]], None] | None = None
    """`when_version_is_known` of another session with this broker, which asks for its version; None: this
    session itself does."""
    durable: bool = False
    """Whether the broker keeps the session, with the messages that arrive in the meantime."""
    limit: PacketLimit | None = None
    """Decides which readings lose their payload because their topic brings too many; None: none does."""
