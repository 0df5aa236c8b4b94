"""The pipeline's surroundings in the running daemon: broker, inbox and store behind four verbs."""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from monitor.core.messages import InboundMessage, MessageBatch, OutboundMessage
from monitor.groups.mutes import Mutes
from monitor.mqtt import Session
from monitor.mqtt.receive_queue import ReceiveQueue
from monitor.publish.message_properties import message_properties
from monitor.storage.store import Store
from monitor.telemetry.metrics import Metrics

__all__ = ["Gateway"]

_log = logging.getLogger(__name__)

# What the session may hold unconfirmed; the rest waits in the outbox, so that its queue stays bounded.
_MAX_IN_FLIGHT = 1000
# Messages that may wait to be published. Beyond it no reading is taken: with QoS 1 the broker keeps them,
# with QoS 0 they overflow.
_MAX_OUTBOX = 20_000
# The store is looked through for groups too many after so many commits.
_COMMITS_PER_TRIM = 1000
# How many times the groups in memory the store may hold.
_STORED_GROUPS_FACTOR = 10
# How many times the groups in memory may have a name among those to be saved.
_UNSAVED_GROUPS_FACTOR = 4
# As many states may be there while readings wait to be judged: to publish one costs twelve times what judging
# a reading does, and a newer one takes the place of one that waits.
_MAX_STATES_WHEN_BUSY = 50
# How long the broker is given to confirm before it is looked at again what can be published now, in seconds.
_CONFIRM_POLL_S = 0.02
# With QoS 0 nothing waits for the store, and it is written this often, in seconds; after a failure, too. If
# so many groups speak that it takes long, it is written less often, so that judging keeps most of the time.
_COMMIT_INTERVAL_S = 1.0
_PAUSE_PER_WRITE_SECOND = 19.0  # seconds of pause for a second of writing
# Groups of one such commit, 50 ms of work: 100,000 at once take a second, and meanwhile readings overflow.
_MAX_GROUPS_PER_COMMIT = 4096


class SavableGroups(Protocol):
    """The state of groups, as the store keeps it."""

    def dump(self, group: str) -> bytes | None:
        """Return the state of a group; None if there is none."""

    def ended_incidents(self, groups: Iterable[str]) -> list[tuple[str, bytes]]:
        """Return group and last ended incident of those of these groups whose incident the store lacks."""

    def mark_saved(self, groups: Iterable[str]) -> None:
        """Note that the store holds the state of these groups, with their ended incidents."""


class Gateway:
    """Joins what the pipeline takes from and gives to.

    Parameters
    ----------
    receive_queue : where the session puts messages.
    session : the connection that readings come from, to be acknowledged there.
    publish_session : the connection that messages go out by.
    store : keeps state and the outbox.
    groups : the state of the groups.
    mutes : is kept in the store as well.
    base_topic : all output goes below it.
    max_groups : how many groups memory holds; the store keeps ten times as many.
    acks_enabled : whether readings come with QoS 1 or 2, so that each batch is written before it is
        acknowledged.
    metrics : counts failures.
    monotonic, wall : return monotonic seconds and seconds since the Unix epoch.
    """

    def __init__(
        self,
        receive_queue: ReceiveQueue,
        session: Session,
        publish_session: Session,
        store: Store,
        groups: SavableGroups,
        mutes: Mutes,
        base_topic: str,
        metrics: Metrics,
        *,
        max_groups: int,
        acks_enabled: bool,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._receive_queue = receive_queue
        self._session = session
        self._publish_session = publish_session
        self._store = store
        self._outbox = store.load_outbox()
        self._groups = groups
        self._mutes = mutes
        self._base_topic = base_topic
        self._metrics = metrics
        self._max_groups = max_groups
        self._acks_enabled = acks_enabled
        self._monotonic = monotonic
        self._wall = wall
        self._unsaved_groups: dict[str, None] = {}  # groups whose state the store doesn't have yet
        self._pending_acks: list[object] = []  # receipts of messages that the store doesn't know of yet
        self._commit_queue: list[str] = []  # of the changed groups, last name first
        self._next_commit_at = 0.0
        self._commit_count = 0
        self._at_in_flight_limit = False  # whether so much is on its way that more may wait
        self.problem = ""
        """Why nothing can be written, for people; "" while it can."""

    @property
    def unconfirmed_count(self) -> int:
        """How many messages the broker has not confirmed yet."""
        return len(self._outbox)

    def take(self, timeout: float) -> MessageBatch:
        """Return all that waits; wait for something at most `timeout` seconds."""
        if len(self._outbox) >= _MAX_OUTBOX:
            return self._receive_queue.wait(min(timeout, _CONFIRM_POLL_S))
        if self._publish_session.ready and (self._at_in_flight_limit or self._outbox.first()):
            # 100,000 states take a minute otherwise, for a thousand are under way at a time.
            timeout = min(timeout, _CONFIRM_POLL_S)
        return self._receive_queue.take(timeout)

    def commit(self, groups: Iterable[str], messages: Iterable[OutboundMessage]) -> bool:
        """Make the changed groups' state and the messages to send permanent; return whether they are.

        Where the disk doesn't take it, it is tried again later, and nothing is acknowledged until then.
        """
        self._unsaved_groups.update(dict.fromkeys(groups))
        if len(self._unsaved_groups) > _UNSAVED_GROUPS_FACTOR * self._max_groups:
            # While the disk is full, groups that were set aside unsaved are gone: their names go too.
            self._unsaved_groups = {
                name: None for name in self._unsaved_groups if self._groups.dump(name) is not None
            }
        self._outbox.add(messages)
        is_deferred = self.problem or not self._acks_enabled
        if is_deferred and self._monotonic() < self._next_commit_at:
            return False
        return self.flush() if self._acks_enabled else self._commit_groups(self._next_commit_groups())

    def flush(self) -> bool:
        """Write what isn't yet permanent; return whether all is."""
        return self._commit_groups(list(self._unsaved_groups))

    def commit_now(self, groups: Iterable[str]) -> bool:
        """Write these groups now, with all messages; return whether they are permanent.

        With QoS 0 the store is always behind, and who asked for something would wait without end.
        """
        if self.problem:
            return False
        next_commit_at = self._next_commit_at
        if not self._save_groups([name for name in groups if name in self._unsaved_groups]):
            return False
        self._next_commit_at = next_commit_at  # all others wait no longer for it
        return True

    def _next_commit_groups(self) -> list[str]:
        """Return some of the changed groups, in turn."""
        if not self._commit_queue:
            self._commit_queue = sorted(self._unsaved_groups, reverse=True)
        names = self._commit_queue[-_MAX_GROUPS_PER_COMMIT:]
        del self._commit_queue[-_MAX_GROUPS_PER_COMMIT:]
        return names

    def _commit_groups(self, names: list[str]) -> bool:
        """Write these groups and all messages; return whether nothing is left to write."""
        return self._save_groups(names) and not self._unsaved_groups

    def _save_groups(self, names: list[str]) -> bool:
        """Write these groups and all messages; return whether that worked."""
        outbox, mutes = self._outbox, self._mutes
        if not (names or outbox.unsaved_messages or outbox.removed_numbers or mutes.dirty):
            return True
        names = sorted(names)  # as they lie in the file: each of its pages is written once
        started_at = self._monotonic()
        self._next_commit_at = started_at + _COMMIT_INTERVAL_S
        try:
            ended_incidents = self._groups.ended_incidents(names)
            self._store.save(self._dump_groups(names), outbox, self._wall(), mutes, ended_incidents)
            finished_at = self._monotonic()
            pause = _PAUSE_PER_WRITE_SECOND * (finished_at - started_at)
            # The rest of what was due needs no second's wait.
            self._next_commit_at = (
                finished_at + pause if self._commit_queue else max(self._next_commit_at, finished_at + pause)
            )
            self._commit_count += 1
            if self._commit_count % _COMMITS_PER_TRIM == 0:
                self._trim_store()
        except sqlite3.OperationalError as error:
            self._record_store_failure(error)
            return False
        for name in names:
            self._unsaved_groups.pop(name, None)
        self._groups.mark_saved(names)
        if self.problem:
            self.problem = ""
            _log.info("the store can be written again")
        return True

    def emit(self, states: Iterator[OutboundMessage]) -> bool:
        """Publish what the outbox holds, then states, as far as there is room; return if all is confirmed.

        States only for as long as the connection lasts: the session sends them again after a break, and the
        next process says all of them.
        """
        outbox, session = self._outbox, self._publish_session
        for number in session.take_delivered():
            outbox.mark_confirmed(number)
        while session.ready and outbox.in_flight_count < _MAX_IN_FLIGHT and (message := outbox.first()):
            outbox.mark_sent(self._publish(message))
        max_in_flight = _MAX_STATES_WHEN_BUSY if len(self._receive_queue) else _MAX_IN_FLIGHT
        while (
            outbox.first() is None  # what is said of one group stays in order
            and session.ready
            and outbox.in_flight_count < max_in_flight
            and (message := next(states, None))
        ):
            outbox.mark_unstored_sent(self._publish(message))
        self._at_in_flight_limit = outbox.in_flight_count >= max_in_flight
        return len(outbox) == 0 and outbox.in_flight_count == 0

    def _publish(self, message: OutboundMessage) -> int:
        topic = message.topic if message.is_full_topic else f"{self._base_topic}/{message.topic}"
        return self._publish_session.publish(
            topic, message.payload, retain=message.retain, properties=message_properties(message)
        )

    def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """Tell the broker that these messages are dealt with, as soon as the store knows."""
        if not self._acks_enabled:
            return
        self._pending_acks += [receipt for _, _, receipt, _ in messages if receipt is not None]
        if self._pending_acks and not self._unsaved_groups:
            self._session.acknowledge(self._pending_acks)
            self._pending_acks.clear()

    def _dump_groups(self, names: list[str]) -> Iterator[tuple[str, bytes]]:
        for group in names:
            value = self._groups.dump(group)
            if value is not None:
                yield group, value

    def _trim_store(self) -> None:
        removed_count = self._store.trim_groups(_STORED_GROUPS_FACTOR * self._max_groups)
        if removed_count:
            _log.warning(
                "the store held more than %s times input.max_groups: forgot the %s groups heard longest ago",
                _STORED_GROUPS_FACTOR, removed_count,
            )  # fmt: skip

    def _record_store_failure(self, error: sqlite3.OperationalError) -> None:
        self._metrics.store_failures.inc()
        text = (
            f"the store can't be written ({error}): readings are judged and not acknowledged until it can; "
            "expected room on its disk"
        )
        if not self.problem:
            _log.error("%s", text)
        self.problem = text
