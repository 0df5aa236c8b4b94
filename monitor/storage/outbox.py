"""What is still to be published: messages that wait, and those that wait for the broker's word."""

from collections import OrderedDict
from collections.abc import Iterable

from monitor.core.messages import Outgoing

__all__ = ["Outbox"]


class Outbox:
    """Messages in the order in which they are to go out, each with a number that the store knows it by.

    Parameters
    ----------
    stored : what an earlier process left in the store: number -> message, oldest first.
    """

    def __init__(self, stored: Iterable[tuple[int, Outgoing]] = ()) -> None:
        # Taken from the front: in a dict the first is behind the gaps that all earlier ones left.
        self._waiting: OrderedDict[int, Outgoing] = OrderedDict()
        self._retained: dict[str, int] = {}  # topic -> number of the retained message that waits for it
        self._in_flight: dict[object, int | None] = {}
        self._messages: dict[int, Outgoing] = {}
        self._last = 0
        self.unsaved: dict[int, Outgoing] = {}
        """Messages that the store doesn't hold yet."""
        self.gone: set[int] = set()
        """Numbers of messages that the store holds and needn't any more."""
        for number, message in stored:
            self._enter(number, message)

    def __len__(self) -> int:
        """Return how many messages of these the broker has not confirmed yet."""
        return len(self._messages)

    @property
    def in_flight(self) -> int:
        """How many are with the broker and unconfirmed."""
        return len(self._in_flight)

    def add(self, messages: Iterable[Outgoing]) -> None:
        """Append messages in their order."""
        for message in messages:
            self._enter(self._last + 1, message)
            self.unsaved[self._last] = message

    def first(self) -> Outgoing | None:
        """Return the message that is to be published next."""
        return next(iter(self._waiting.values()), None)

    def sent(self, token: object) -> None:
        """Note that the first message is on its way under this token."""
        number = next(iter(self._waiting))
        message = self._waiting.pop(number)
        if message.retain:
            del self._retained[message.topic]
        self._in_flight[token] = number

    def passed_by(self, token: object) -> None:
        """Note that a message that isn't kept here is on its way under this token."""
        self._in_flight[token] = None

    def delivered(self, token: object) -> None:
        """Note the broker's confirmation; an unknown token is somebody else's."""
        number = self._in_flight.pop(token, None)
        if number is not None:
            self._drop(number)

    def saved(self) -> None:
        """Note that the store now holds what was `unsaved` and no longer what was `gone`."""
        self.unsaved.clear()
        self.gone.clear()

    def _enter(self, number: int, message: Outgoing) -> None:
        if message.retain and message.topic in self._retained:
            self._drop(self._retained[message.topic])
        self._last = number
        self._messages[number] = self._waiting[number] = message
        if message.retain:
            self._retained[message.topic] = number

    def _drop(self, number: int) -> None:
        message = self._messages.pop(number)
        if self._waiting.pop(number, None) and message.retain:
            del self._retained[message.topic]
        if self.unsaved.pop(number, None) is None:
            self.gone.add(number)
