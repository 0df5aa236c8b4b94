"""What a batch of messages holds, as the decode stages return it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from monitor.core.messages import InboundMessage
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


class Decoder(Protocol):
    """Decodes batches of messages."""

    def decode(self, messages: Sequence[InboundMessage], arrivals: Arrivals) -> DecodedMessages:
        """Return what a batch of messages holds."""

    def forget(self, group: str) -> None:
        """Remove what is cached for a group."""
