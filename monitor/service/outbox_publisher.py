"""Publishes the outbox and states through the sink, with a limited number of unconfirmed messages."""

from collections.abc import Iterator

import numpy as np

from monitor.core.messages import OutboundMessage
from monitor.service.ports import Sink
from monitor.storage.outbox import Outbox
from monitor.telemetry.batch_histogram import BatchHistogram

__all__ = ["OutboxPublisher"]

# Maximum number of unconfirmed messages in the sink. Further messages wait in the outbox, which limits the
# sink's queue.
_MAX_IN_FLIGHT = 1000
# Size of the outbox from which no more readings are judged: with QoS 1 the broker keeps them, with QoS 0 the
# receive queue overflows.
_MAX_OUTBOX = 20_000
# Maximum number of unconfirmed messages at which states are still published while readings wait to be judged.
# Publishing a state takes twelve times as long as judging a reading, and a state that is not published yet is
# replaced by the group's newer state.
_MAX_STATES_WHEN_BUSY = 50


class OutboxPublisher:
    """Passes messages to the sink, and removes confirmed messages from the outbox.

    Parameters
    ----------
    outbox : the messages to publish; the committer deletes confirmed messages from the store later.
    sink : publishes the messages.
    delivery_seconds : observes the seconds from a reading's arrival to the confirmation of its alert.
    """

    def __init__(self, *, outbox: Outbox, sink: Sink, delivery_seconds: BatchHistogram) -> None:
        self._outbox = outbox
        self._sink = sink
        self._delivery_seconds = delivery_seconds
        self._at_in_flight_limit = False  # whether states may be waiting for confirmations of others

    @property
    def unconfirmed_count(self) -> int:
        """Number of messages in the outbox that are not confirmed yet."""
        return len(self._outbox)

    @property
    def is_full(self) -> bool:
        """Whether the outbox has so many messages that no more readings should be judged."""
        return len(self._outbox) >= _MAX_OUTBOX

    @property
    def has_publishable(self) -> bool:
        """Whether messages may be waiting until others are confirmed."""
        return self._sink.ready and (self._at_in_flight_limit or self._outbox.first() is not None)

    def publish(self, states: Iterator[OutboundMessage], *, is_busy: bool) -> bool:
        """Publish the outbox, then states, up to the limits; return whether all messages are confirmed.

        A state is not stored in the outbox: after a disconnection the sink sends it again, and after a
        restart the new process publishes all states.

        Parameters
        ----------
        is_busy : whether readings wait to be judged.
        """
        outbox, sink = self._outbox, self._sink
        self._remove_confirmed()
        while sink.ready and outbox.in_flight_count < _MAX_IN_FLIGHT and (message := outbox.first()):
            outbox.mark_sent(sink.publish(message))
        max_in_flight = _MAX_STATES_WHEN_BUSY if is_busy else _MAX_IN_FLIGHT
        while (
            outbox.first() is None  # so that the messages about a group stay in order
            and sink.ready
            and outbox.in_flight_count < max_in_flight
            and (message := next(states, None))
        ):
            outbox.mark_unstored_sent(sink.publish(message))
        self._at_in_flight_limit = outbox.in_flight_count >= max_in_flight
        return len(outbox) == 0 and outbox.in_flight_count == 0

    def _remove_confirmed(self) -> None:
        durations = []
        for token, confirmed_at in self._sink.take_confirmed():
            message = self._outbox.mark_confirmed(token)
            if message is None or message.arrived_monotonic is None or confirmed_at is None:
                continue
            durations.append(confirmed_at - message.arrived_monotonic)
        if durations:
            self._delivery_seconds.observe(np.array(durations))
