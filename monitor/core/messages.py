"""What a session with the broker tells its owner."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from monitor.core.readings import Arrivals

__all__ = [
    "JSON_PROPERTIES",
    "TEXT_PROPERTIES",
    "InboundMessage",
    "InboundRequest",
    "MessageBatch",
    "MessageProperties",
    "OutboundMessage",
    "ReadOnce",
    "SessionListener",
]

InboundMessage = tuple[str, bytes, object, bool]
"""A message: its topic, its payload, the receipt that acknowledges it (None where nothing is to be
acknowledged), and whether the broker sent it before and nobody acknowledged it."""

ReadOnce = Callable[[float], bool]
"""Reads in the network thread's place what is there, or comes within so many seconds, and has it `received`;
returns whether it may be called again, or that thread is needed."""


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """A request as it came from the broker."""

    topic: str
    payload: bytes
    ack_token: object
    """What acknowledges it: until then it comes again with the next process."""
    retained: bool
    """Whether the broker keeps it and sends it with each subscription."""
    response_topic: str | None
    """Where its answer goes, as MQTT 5 says; None where nothing is said."""
    correlation_data: bytes | None
    """What the answer must bear; None as above."""


class SessionListener(Protocol):
    """Told by a session what happens, on the network thread: must be quick and never raise."""

    def on_connected(self) -> None:
        """Hear that the broker took us in and every subscription stands."""

    def on_disconnected(self, reason: str) -> None:
        """Hear why there is no connection; the session keeps trying."""

    def on_taken_over(self) -> None:
        """Hear that another client has our id; the session is over."""

    def on_publish_failed(self) -> None:
        """Hear that nobody gets a message that was published, and the log says why.

        The broker refused it, or confirmed too few before it; of that one hears on the publisher's thread.
        """

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:
        """Take messages in their order. Until this returns another thread may `read_once`, if there is that."""

    def on_request(self, request: InboundRequest) -> None:
        """Take a request; it is to be acknowledged once it is done."""


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """A message that is to be published with QoS 1."""

    topic: str
    """Below `base_topic`."""
    payload: bytes
    retain: bool
    """A retained message stands for now: a newer one on its topic replaces it while it waits. Most states
    never wait here: see `Outbox.mark_unstored_sent`."""
    bundle_id: str = ""
    """Id of the bundle whose verdict it tells; "" where it tells none."""
    is_full_topic: bool = False
    """Whether `topic` is all of it, and not what stands below `base_topic`."""


@dataclass(frozen=True, slots=True)
class MessageProperties:
    """The properties of a message; MQTT 3.1.1 has no place for them."""

    content_type: str = ""
    """A MIME type; "" where there is no content."""
    expiry_s: int | None = None
    """Seconds until the broker forgets it; None: never."""
    user_properties: tuple[tuple[str, str], ...] = ()
    """Names and values."""
    correlation_data: bytes | None = None
    """In an answer, what its request asked for."""


JSON_PROPERTIES, TEXT_PROPERTIES = MessageProperties("application/json"), MessageProperties("text/plain")


@dataclass(frozen=True, slots=True)
class MessageBatch:
    """What was waiting."""

    messages: list[InboundMessage]
    arrivals: Arrivals
    overflow_count: int
    """Messages dropped for want of room since the last time."""
