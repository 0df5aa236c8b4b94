"""What a batch of messages holds, as the decode stages return it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from monitor.core.messages import InboundMessage, OutboundMessage
from monitor.core.readings import Arrivals, Readings, RejectedReading
from monitor.core.values import RejectedValue, Values

__all__ = ["DecodedMessages", "Decoder"]


@dataclass(frozen=True, slots=True)
class DecodedMessages:
    """The readings and values of a batch of messages, and what was rejected."""

    readings: Readings
    """Readings of messages that have all features of a group, in the order of arrival."""
    rejected: list[RejectedReading]
    """Rejected readings, in no particular order."""
    values: Values | None = None
    """Values to align into readings, in the order of arrival; None if all messages are readings."""
    rejected_values: Sequence[RejectedValue] = ()
    """Rejected values, in no particular order."""
    message_indices: Sequence[int] = ()
    """Index of the message of each value: (value,)."""
    births: Mapping[str, bytes] = field(default_factory=dict)
    """What to store of Sparkplug edge nodes whose births changed, by the edge node; empty: delete it."""
    requests: Sequence[OutboundMessage] = ()
    """Requests to senders, to be published."""


class Decoder(Protocol):
    """Decodes batches of messages."""

    def decode(self, messages: Sequence[InboundMessage], arrivals: Arrivals) -> DecodedMessages:
        """Return what a batch of messages holds."""

    def forget(self, group: str) -> None:
        """Remove what is cached for a group."""
