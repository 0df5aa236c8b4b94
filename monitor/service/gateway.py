"""The pipeline's surroundings in the running daemon: source, store and sink behind its four verbs."""

from collections.abc import Iterable, Iterator, Sequence

from monitor.core.messages import InboundMessage, MessageBatch, OutboundMessage
from monitor.service.committer import Committer
from monitor.service.outbox_publisher import OutboxPublisher
from monitor.service.ports import Source

__all__ = ["Gateway"]

# Seconds until the next look which messages can be published now, while some wait for confirmations.
_CONFIRM_POLL_S = 0.02


class Gateway:
    """Joins the source, what commits and what publishes.

    Parameters
    ----------
    source : where messages come from, to be acknowledged there.
    committer : writes the store.
    publisher : publishes what is stored.
    """

    def __init__(self, *, source: Source, committer: Committer, publisher: OutboxPublisher) -> None:
        self._source = source
        self._committer = committer
        self._publisher = publisher
        self._pending_acks: list[object] = []  # tokens of messages whose effect is not stored yet

    @property
    def problem(self) -> str:
        """Why nothing can be stored, for people; "" while it can."""
        return self._committer.problem

    @property
    def unconfirmed_count(self) -> int:
        """Number of messages in the outbox that are not confirmed yet."""
        return self._publisher.unconfirmed_count

    def take(self, timeout: float) -> MessageBatch:
        """Return all messages that wait; wait for the first at most `timeout` seconds."""
        if self._publisher.is_full:
            return self._source.wait(min(timeout, _CONFIRM_POLL_S))
        if self._publisher.has_publishable:
            # Otherwise 100,000 states take a minute, for at most a thousand are unconfirmed at a time.
            timeout = min(timeout, _CONFIRM_POLL_S)
        return self._source.take(timeout)

    def commit(self, groups: Iterable[str], messages: Iterable[OutboundMessage]) -> bool:
        """Store the state of changed groups and messages to publish; return whether all is stored.

        Where the disk doesn't take it, it is tried again later, and nothing is acknowledged until then.
        """
        return self._committer.commit(groups, messages)

    def commit_now(self, groups: Iterable[str]) -> bool:
        """Store the state of these groups now, with all messages; return whether it is stored."""
        return self._committer.commit_now(groups)

    def emit(self, states: Iterator[OutboundMessage]) -> bool:
        """Publish stored messages, then states as far as there is room; return if all is confirmed."""
        return self._publisher.publish(states, is_busy=len(self._source) > 0)

    def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """Acknowledge these messages as soon as their effect is stored."""
        if not self._source.needs_acks:
            return
        self._pending_acks += [token for _, _, token, _ in messages if token is not None]
        if self._pending_acks and not self._committer.has_unsaved_groups:
            tokens, self._pending_acks = self._pending_acks, []
            self._source.acknowledge(tokens)

    def flush(self) -> bool:
        """Store all that isn't stored yet; return whether all is."""
        return self._committer.flush()

    def close_intake(self) -> None:
        """Accept no more messages: those that come now are not acknowledged, and come again."""
        self._source.close()
        self._source.wake()

    def close(self) -> None:
        """Close the store."""
        self._committer.close()
