"""Publishes the outbox and states by the sink, with a bounded number of unconfirmed messages."""

from collections.abc import Iterator

from monitor.core.messages import OutboundMessage
from monitor.service.ports import Sink
from monitor.storage.outbox import Outbox

__all__ = ["OutboxPublisher"]

# Messages that the sink may hold unconfirmed. The rest waits in the outbox: the sink's queue stays bounded.
_MAX_IN_FLIGHT = 1000
# Messages that may wait to be published. Beyond it no reading is taken: with QoS 1 the broker keeps them,
# with QoS 0 they overflow.
_MAX_OUTBOX = 20_000
# Unconfirmed states while readings wait to be judged: to publish a state costs twelve times what judging
# a reading does, and a newer state of the group replaces one that waits.
_MAX_STATES_WHEN_BUSY = 50


class OutboxPublisher:
    """Hands messages to the sink and notes which are confirmed.

    Parameters
    ----------
    outbox : the messages to publish; a confirmed one is removed from it, and then from the store.
    sink : where they go.
    """

    def __init__(self, *, outbox: Outbox, sink: Sink) -> None:
        self._outbox = outbox
        self._sink = sink
        self._at_in_flight_limit = False  # whether states may wait because too many are unconfirmed

    @property
    def unconfirmed_count(self) -> int:
        """Number of messages in the outbox that are not confirmed yet."""
        return len(self._outbox)

    @property
    def is_full(self) -> bool:
        """Whether so many messages wait that no more readings should be judged."""
        return len(self._outbox) >= _MAX_OUTBOX

    @property
    def has_publishable(self) -> bool:
        """Whether there are messages to publish as soon as others are confirmed."""
        return self._sink.ready and (self._at_in_flight_limit or self._outbox.first() is not None)

    def publish(self, states: Iterator[OutboundMessage], *, is_busy: bool) -> bool:
        """Publish the outbox, then states, as far as there is room; return whether all is confirmed.

        A state counts as published once the sink has it: the sink sends it again after a break, and the next
        process publishes all states.

        Parameters
        ----------
        is_busy : whether readings wait to be judged.
        """
        outbox, sink = self._outbox, self._sink
        for token in sink.take_confirmed():
            outbox.mark_confirmed(token)
        while sink.ready and outbox.in_flight_count < _MAX_IN_FLIGHT and (message := outbox.first()):
            outbox.mark_sent(sink.publish(message))
        max_in_flight = _MAX_STATES_WHEN_BUSY if is_busy else _MAX_IN_FLIGHT
        while (
            outbox.first() is None  # messages about one group stay in order
            and sink.ready
            and outbox.in_flight_count < max_in_flight
            and (message := next(states, None))
        ):
            outbox.mark_unstored_sent(sink.publish(message))
        self._at_in_flight_limit = outbox.in_flight_count >= max_in_flight
        return len(outbox) == 0 and outbox.in_flight_count == 0
