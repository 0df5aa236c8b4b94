"""The outbox: messages that wait to be published, and published ones that wait for their confirmation."""

from collections import OrderedDict
from collections.abc import Iterable

from monitor.core.messages import OutboundMessage

__all__ = ["Outbox"]


class Outbox:
    """Unconfirmed messages in the order of publishing, each with the number that is its key in the store.

    Parameters
    ----------
    stored : messages that an earlier process left in the store: (number, message), oldest first.
    """

    def __init__(self, stored: Iterable[tuple[int, OutboundMessage]] = ()) -> None:
        # Not published yet, by number. Items are taken from the front, which an OrderedDict does in constant
        # time; a dict would first skip all entries that were deleted at its front.
        self._queue: OrderedDict[int, OutboundMessage] = OrderedDict()
        self._retained_numbers: dict[str, int] = {}  # topic -> number of the queued retained message
        # Confirmation token -> number of the published, unconfirmed message; None if it is not in the outbox.
        self._in_flight: dict[object, int | None] = {}
        self._messages: dict[int, OutboundMessage] = {}  # queued and in flight, by number
        self._last_number = 0
        self.unsaved_messages: dict[int, OutboundMessage] = {}
        """Messages that are not in the store yet, by number."""
        self.removed_numbers: set[int] = set()
        """Numbers of messages that are in the store and no longer needed."""
        for number, message in stored:
            self._append(number, message)

    def __len__(self) -> int:
        """Return the number of messages in the outbox, which are all unconfirmed, published or not."""
        return len(self._messages)

    @property
    def in_flight_count(self) -> int:
        """Number of published, unconfirmed messages, including those that were never in the outbox."""
        return len(self._in_flight)

    def add(self, messages: Iterable[OutboundMessage]) -> None:
        """Append messages; a retained message replaces a queued retained message on the same topic."""
        for message in messages:
            self._append(self._last_number + 1, message)
            self.unsaved_messages[self._last_number] = message

    def first(self) -> OutboundMessage | None:
        """Return the message to publish next; None if the queue is empty."""
        return next(iter(self._queue.values()), None)

    def mark_sent(self, token: object) -> None:
        """Record that the first queued message was published; `token` identifies its confirmation."""
        number = next(iter(self._queue))
        message = self._queue.pop(number)
        if message.retain:
            del self._retained_numbers[message.topic]
        self._in_flight[token] = number

    def mark_unstored_sent(self, token: object) -> None:
        """Record that a message outside the outbox was published; `token` identifies its confirmation."""
        self._in_flight[token] = None

    def mark_confirmed(self, token: object) -> OutboundMessage | None:
        """Record the broker's confirmation, and return the message; None if the outbox doesn't have it."""
        number = self._in_flight.pop(token, None)
        return None if number is None else self._remove(number)

    def mark_saved(self) -> None:
        """Record that the store has inserted `unsaved_messages` and deleted `removed_numbers`."""
        self.unsaved_messages.clear()
        self.removed_numbers.clear()

    def _append(self, number: int, message: OutboundMessage) -> None:
        if message.retain and message.topic in self._retained_numbers:
            self._remove(self._retained_numbers[message.topic])
        self._last_number = number
        self._messages[number] = self._queue[number] = message
        if message.retain:
            self._retained_numbers[message.topic] = number

    def _remove(self, number: int) -> OutboundMessage:
        message = self._messages.pop(number)
        if self._queue.pop(number, None) and message.retain:
            del self._retained_numbers[message.topic]
        if self.unsaved_messages.pop(number, None) is None:
            self.removed_numbers.add(number)
        return message
