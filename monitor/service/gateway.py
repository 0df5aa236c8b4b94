"""Implements the pipeline's ports (take, commit, emit, acknowledge) with source, store and sink."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from monitor.core.messages import InboundMessage, MessageBatch, OutboundMessage
from monitor.service.committer import Committer
from monitor.service.outbox_publisher import OutboxPublisher
from monitor.service.ports import Source

__all__ = ["Gateway"]

# Seconds between two attempts to publish more messages while others are unconfirmed.
_CONFIRM_POLL_S = 0.02


class Gateway:
    """Implements `PipelinePorts` with a source, a committer and a publisher.

    Parameters
    ----------
    source : receives messages, and acknowledges them.
    committer : writes the store.
    publisher : publishes stored messages and states.
    """

    def __init__(self, *, source: Source, committer: Committer, publisher: OutboxPublisher) -> None:
        self._source = source
        self._committer = committer
        self._publisher = publisher
        self._pending_acks: list[object] = []  # tokens of messages whose results are not stored yet

    @property
    def problem(self) -> str:
        """Why the store can't be written, as text for users; "" if it can."""
        return self._committer.problem

    @property
    def unconfirmed_count(self) -> int:
        """Number of messages in the outbox that are not confirmed yet."""
        return self._publisher.unconfirmed_count

    def take(self, timeout: float) -> MessageBatch:
        """Return all queued messages; if there are none, wait at most `timeout` seconds for the first."""
        if self._publisher.is_full:
            return self._source.wait(min(timeout, _CONFIRM_POLL_S))
        if self._publisher.has_publishable:
            # Otherwise 100,000 states take a minute, because at most 1,000 messages are unconfirmed at a
            # time.
            timeout = min(timeout, _CONFIRM_POLL_S)
        return self._source.take(timeout)

    def commit(
        self,
        groups: Iterable[str],
        messages: Iterable[OutboundMessage],
        births: Mapping[str, bytes] | None = None,
    ) -> bool:
        """Store the state of changed groups, messages to publish and births; return whether all is stored.

        If the store can't be written, a later call tries again, and no message is acknowledged until then.
        """
        return self._committer.commit(groups, messages, births)

    def commit_now(self, groups: Iterable[str]) -> bool:
        """Store the state of the given groups and all messages now; return whether they are stored."""
        return self._committer.commit_now(groups)

    def emit(self, states: Iterator[OutboundMessage]) -> bool:
        """Publish stored messages, then states up to the limit; return whether all are confirmed."""
        return self._publisher.publish(states, is_busy=len(self._source) > 0)

    def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """Acknowledge the given messages, once their results are stored."""
        if not self._source.needs_acks:
            return
        self._pending_acks += [token for _, _, token, _ in messages if token is not None]
        if self._pending_acks and not self._committer.has_unsaved_changes:
            tokens, self._pending_acks = self._pending_acks, []
            self._source.acknowledge(tokens)

    def flush(self) -> bool:
        """Store all unsaved changes; return whether everything is stored."""
        return self._committer.flush()

    def close_intake(self) -> None:
        """Accept no more messages: later messages are not acknowledged, so the broker delivers them again."""
        self._source.close()
        self._source.wake()

    def close(self) -> None:
        """Close the store."""
        self._committer.close()
