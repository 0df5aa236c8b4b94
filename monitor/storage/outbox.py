"""What is still to be published: messages that wait, and those that wait for the broker's word."""

from collections import OrderedDict
from collections.abc import Iterable

from monitor.core.messages import OutboundMessage

__all__ = ["Outbox"]


class Outbox:
    """Messages in the order in which they are to go out, each with a number that the store knows it by.

    Parameters
    ----------
    stored : what an earlier process left in the store: number -> message, oldest first.
    """

    def __init__(self, stored: Iterable[tuple[int, OutboundMessage]] = ()) -> None:
        # Taken from the front: in a dict the first is behind the gaps that all earlier ones left.
        self._queue: OrderedDict[int, OutboundMessage] = OrderedDict()
        self._retained_numbers: dict[
            str, int
        ] = {}  # topic -> number of the retained message that waits for it
        self._in_flight: dict[object, int | None] = {}
        self._messages: dict[int, OutboundMessage] = {}
        self._last_number = 0
        self.unsaved_messages: dict[int, OutboundMessage] = {}
        """Messages that the store doesn't hold yet."""
        self.removed_numbers: set[int] = set()
        """Numbers of messages that the store holds and needn't any more."""
        for number, message in stored:
            self._append(number, message)

    def __len__(self) -> int:
        """Return how many messages of these the broker has not confirmed yet."""
        return len(self._messages)

    @property
    def in_flight_count(self) -> int:
        """How many are with the broker and unconfirmed."""
        return len(self._in_flight)

    def add(self, messages: Iterable[OutboundMessage]) -> None:
        """Append messages in their order."""
        for message in messages:
            self._append(self._last_number + 1, message)
            self.unsaved_messages[self._last_number] = message

    def first(self) -> OutboundMessage | None:
        """Return the message that is to be published next."""
        return next(iter(self._queue.values()), None)

    def mark_sent(self, token: object) -> None:
        """Note that the first message is on its way under this token."""
        number = next(iter(self._queue))
        message = self._queue.pop(number)
        if message.retain:
            del self._retained_numbers[message.topic]
        self._in_flight[token] = number

    def mark_unstored_sent(self, token: object) -> None:
        """Note that a message that isn't kept here is on its way under this token."""
        self._in_flight[token] = None

    def mark_confirmed(self, token: object) -> None:
        """Note the broker's confirmation; an unknown token is somebody else's."""
        number = self._in_flight.pop(token, None)
        if number is not None:
            self._remove(number)

    def mark_saved(self) -> None:
        """Note that the store now holds what was `unsaved` and no longer what was `gone`."""
        self.unsaved_messages.clear()
        self.removed_numbers.clear()

    def _append(self, number: int, message: OutboundMessage) -> None:
        if message.retain and message.topic in self._retained_numbers:
            self._remove(self._retained_numbers[message.topic])
        self._last_number = number
        self._messages[number] = self._queue[number] = message
        if message.retain:
            self._retained_numbers[message.topic] = number

    def _remove(self, number: int) -> None:
        message = self._messages.pop(number)
        if self._queue.pop(number, None) and message.retain:
            del self._retained_numbers[message.topic]
        if self.unsaved_messages.pop(number, None) is None:
            self.removed_numbers.add(number)
