"""Writes changed groups and messages into the store in transactions, and tries again after a failure."""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from monitor.core.messages import OutboundMessage
from monitor.groups.mutes import Mutes
from monitor.storage.outbox import Outbox
from monitor.storage.store import Store
from monitor.telemetry.metrics import Metrics

__all__ = ["Committer", "StorableGroups"]

_log = logging.getLogger(__name__)

# Commits between two checks whether the store holds too many groups.
_COMMITS_PER_TRIM = 1000
# The store holds at most this many times as many groups as memory does.
_STORED_GROUPS_FACTOR = 10
# The names of groups to be saved are at most this many times as many as the groups in memory.
_UNSAVED_GROUPS_FACTOR = 4
# Without acknowledgements nothing waits for the store, and it is written this often, in seconds. With or
# without them it is, after a failure. If so many groups send that writing takes long, it is written less
# often, so that judging keeps most of the time.
_COMMIT_INTERVAL_S = 1.0
_PAUSE_PER_WRITE_SECOND = 19.0  # seconds of pause for a second of writing
# Groups of one such commit, 50 ms of work: 100,000 at once take a second, and meanwhile readings overflow.
_MAX_GROUPS_PER_COMMIT = 4096


class StorableGroups(Protocol):
    """The state of groups as the store keeps it; `GroupStates` in the daemon."""

    def dump(self, group: str) -> bytes | None:
        """Return the state of a group; None if there is none."""

    def ended_incidents(self, groups: Iterable[str]) -> list[tuple[str, bytes]]:
        """Return group and last ended incident of those of these groups whose incident the store lacks."""

    def mark_saved(self, groups: Iterable[str]) -> None:
        """Note that the store holds the state of these groups, with their ended incidents."""


class Committer:
    """Writes changed groups, messages to publish and mutes into the store.

    Parameters
    ----------
    store : is written by this object alone.
    outbox : the messages to publish, as read from the store.
    groups : the state of the groups.
    mutes : whose alerts are held back.
    metrics : counts failures.
    max_groups : groups that memory holds; the store keeps ten times as many.
    each_batch : whether each batch is written whole, because it is acknowledged then (QoS 1 and 2). Otherwise
        the store is written once a second.
    monotonic : returns monotonic seconds.
    """

    def __init__(
        self,
        *,
        store: Store,
        outbox: Outbox,
        groups: StorableGroups,
        mutes: Mutes,
        metrics: Metrics,
        max_groups: int,
        each_batch: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._groups = groups
        self._mutes = mutes
        self._metrics = metrics
        self._max_groups = max_groups
        self._each_batch = each_batch
        self._monotonic = monotonic
        self._unsaved_groups: dict[str, None] = {}  # groups whose state the store doesn't hold yet
        self._commit_queue: list[str] = []  # of these, those of the present round; the next one is last
        self._next_commit_at = 0.0
        self._commit_count = 0
        self.problem = ""
        """Why nothing can be written, for people; "" while it can."""

    @property
    def has_unsaved_groups(self) -> bool:
        """Whether the state of some group is not stored yet."""
        return bool(self._unsaved_groups)

    def commit(self, groups: Iterable[str], messages: Iterable[OutboundMessage]) -> bool:
        """Store the state of changed groups and the messages to publish; return whether all of it is stored.

        Where the disk doesn't take it, a later call tries again.
        """
        self._unsaved_groups.update(dict.fromkeys(groups))
        if len(self._unsaved_groups) > _UNSAVED_GROUPS_FACTOR * self._max_groups:
            # While the disk is full, groups are evicted unsaved, and there is nothing left to save of them.
            self._unsaved_groups = {
                name: None for name in self._unsaved_groups if self._groups.dump(name) is not None
            }
        self._outbox.add(messages)
        is_deferred = self.problem or not self._each_batch
        if is_deferred and self._monotonic() < self._next_commit_at:
            return False
        return self.flush() if self._each_batch else self._commit_groups(self._next_commit_groups())

    def flush(self) -> bool:
        """Write all that isn't stored yet; return whether all is."""
        return self._commit_groups(list(self._unsaved_groups))

    def commit_now(self, groups: Iterable[str]) -> bool:
        """Write these groups now, with all messages; return whether they are stored.

        With QoS 0 some group is always unsaved: an answer that waits for all of them would never be sent.
        """
        if self.problem:
            return False
        next_commit_at = self._next_commit_at
        if not self._save_groups([name for name in groups if name in self._unsaved_groups]):
            return False
        self._next_commit_at = next_commit_at  # the other groups wait no longer for it
        return True

    def close(self) -> None:
        """Close the store."""
        self._store.close()

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
        names = sorted(names)  # the order of the rows in the file: each of its pages is written once
        started_at = self._monotonic()
        self._next_commit_at = started_at + _COMMIT_INTERVAL_S
        try:
            ended_incidents = self._groups.ended_incidents(names)
            self._store.save(self._dump_groups(names), outbox, time.time(), mutes, ended_incidents)
            self._schedule_next(started_at)
            self._commit_count += 1
            if self._commit_count % _COMMITS_PER_TRIM == 0:
                self._trim_store()
        except sqlite3.OperationalError as error:
            self._record_failure(error)
            return False
        for name in names:
            self._unsaved_groups.pop(name, None)
        self._groups.mark_saved(names)
        if self.problem:
            self.problem = ""
            _log.info("the store can be written again")
        return True

    def _schedule_next(self, started_at: float) -> None:
        """Set when the next commit without acknowledgements is due."""
        finished_at = self._monotonic()
        resume_at = finished_at + _PAUSE_PER_WRITE_SECOND * (finished_at - started_at)
        # Groups that are left of this round need no second's wait.
        self._next_commit_at = resume_at if self._commit_queue else max(self._next_commit_at, resume_at)

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
                _STORED_GROUPS_FACTOR,
                removed_count,
            )

    def _record_failure(self, error: sqlite3.OperationalError) -> None:
        self._metrics.store_failures.inc()
        text = (
            f"the store can't be written ({error}): readings are judged and not acknowledged until it can; "
            "expected room on its disk"
        )
        if not self.problem:
            _log.error("%s", text)
        self.problem = text
