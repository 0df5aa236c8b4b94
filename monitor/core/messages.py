"""Messages from and to the broker, and the callbacks of an MQTT session."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from monitor.core.readings import Arrivals

__all__ = [
    "DUP_FLAG",
    "EXCESS_FLAG",
    "JSON_PROPERTIES",
    "RETAIN_FLAG",
    "TEXT_PROPERTIES",
    "InboundMessage",
    "InboundRequest",
    "MessageBatch",
    "MessageProperties",
    "OutboundMessage",
    "ReadOnce",
    "SessionListener",
]

InboundMessage = tuple[str, bytes, object, int]
"""A received message: topic, payload, acknowledgement token (None if it needs no acknowledgement), and flags:
the sum of `DUP_FLAG`, `RETAIN_FLAG` and `EXCESS_FLAG`, or 0. One number, because a fifth element would cost
time for each message."""

# These two are as in the first byte of an MQTT packet.
DUP_FLAG = 0x08
"""The broker sent the message before and got no acknowledgement."""
RETAIN_FLAG = 0x01
"""The broker had kept the message and sent it because of a new subscription."""
EXCESS_FLAG = 0x40
"""The topic brought more than its share: the message has no payload any more, and is only acknowledged."""

ReadOnce = Callable[[float], bool]
"""Reads once from the socket on the calling thread, waiting at most this many seconds, and passes the
received messages to `SessionListener.on_messages`. Returns True if it may be called again, False if the
network thread must continue."""


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """An operator's request as received from the broker."""

    topic: str
    payload: bytes
    ack_token: object
    """Token that acknowledges the request. Until it is acknowledged, the broker delivers it again to the next
    process with this client id."""
    retained: bool
    """Whether the request is a retained message, which the broker sends on each subscription."""
    response_topic: str | None
    """MQTT 5 response topic, whatever the sender wrote; None if the request has none."""
    correlation_data: bytes | None
    """MQTT 5 correlation data, repeated in the answer; None if the request has none."""
    delivery: int = 1
    """How often the broker has delivered it so far, as far as is known: at least 2 if an earlier delivery was
    not acknowledged, because the connection or the process ended."""
    problem: str = ""
    """Why it can't be answered; "" if it can."""
    claimed_operator: str = ""
    """MQTT 5 user property `operator`; "" if the request has none."""


class SessionListener(Protocol):
    """Callbacks of an MQTT session. They run on the network thread, so they must be quick and never raise."""

    def on_connected(self) -> None:
        """Handle a connection: the broker accepted it and confirmed every subscription."""

    def on_disconnected(self, reason: str) -> None:
        """Handle a lost or refused connection; the session keeps trying to connect."""

    def on_taken_over(self) -> None:
        """Handle the end of the session: a newer monitor claims the client id."""

    def on_session_taken(self) -> None:
        """Handle that another client connected with the client id; the session is about to take it back."""

    def on_session_lost(self) -> None:
        """Handle a connection on which the broker has no session, though it had one before.

        Messages that waited there are lost.
        """

    def on_publish_failed(self) -> None:
        """Handle a published message that will not be delivered; the session has logged the cause.

        Either the broker refused it, or it was dropped because too many earlier messages are unconfirmed. In
        the second case this is called on the thread that publishes, not on the network thread.
        """

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:
        """Take messages in the order of arrival.

        Parameters
        ----------
        messages : the received messages.
        read_once : lets another thread read from the socket until this method returns; None if that is not
            possible.
        """

    def on_request(self, request: InboundRequest) -> None:
        """Take a request, and acknowledge it once it has been carried out."""


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """A message to be published with QoS 1."""

    topic: str
    """Topic relative to `base_topic`, unless `is_full_topic`."""
    payload: bytes
    retain: bool
    """Whether the broker retains the message. A retained message describes the present state, so a newer
    retained message on the same topic replaces it while it waits in the outbox. Most state messages bypass
    the outbox: see `Outbox.mark_unstored_sent`."""
    bundle_id: str = ""
    """Id of the bundle whose verdict the message reports; "" if it reports none."""
    is_full_topic: bool = False
    """Whether `topic` is the complete topic, to be published as it is and not below `base_topic`."""
    arrived_monotonic: float | None = field(default=None, compare=False)
    """Monotonic seconds at which the reading arrived that the message is about; None if it is about none, or
    was stored by an earlier process."""


@dataclass(frozen=True, slots=True)
class MessageProperties:
    """MQTT 5 properties of a message. With MQTT 3.1.1, which has no properties, they are not sent."""

    content_type: str = ""
    """MIME type of the payload; "" for an empty payload."""
    expiry_s: int | None = None
    """Seconds after which the broker discards the message; None: never."""
    user_properties: tuple[tuple[str, str], ...] = ()
    """Pairs of name and value."""
    correlation_data: bytes | None = None
    """In an answer, the correlation data of its request."""


JSON_PROPERTIES, TEXT_PROPERTIES = MessageProperties("application/json"), MessageProperties("text/plain")


@dataclass(frozen=True, slots=True)
class MessageBatch:
    """All messages that were in the receive queue when it was emptied."""

    messages: list[InboundMessage]
    """The messages to be read, in the order of arrival."""
    arrivals: Arrivals
    """Their arrival times."""
    overflow_count: int
    """Messages dropped because the queue was full, since the previous batch."""
    complete_until: float
    """All messages that arrived before this time, monotonic seconds, are in this batch or an earlier one."""
    clock_step: float = 0.0
    """Seconds by which the wall clock was set between the previous batch and this one; negative: back. All
    arrival times of a batch are by the clock as it was set last."""
    excess: Sequence[str] = ()
    """Topic of each message with `EXCESS_FLAG`: (message,)."""
    received: Sequence[InboundMessage] = ()
    """All messages in the order of arrival, if there are such with `EXCESS_FLAG` among them; else empty."""

    @property
    def to_acknowledge(self) -> Sequence[InboundMessage]:
        """All messages in the order of arrival."""
        return self.received or self.messages
