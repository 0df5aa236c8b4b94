"""Writes changed groups and messages to the store in transactions, and retries after a failure."""

import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
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
# Maximum number of unsaved groups, as a multiple of the maximum number of groups in memory.
_UNSAVED_GROUPS_FACTOR = 4
# Seconds between two commits if messages are not acknowledged (QoS 0), because then nothing waits for a
# commit; also the seconds between two attempts after a failure. If a commit takes long because many groups
# changed, the interval is longer, so that most of the time is left for judging.
_COMMIT_INTERVAL_S = 1.0
_PAUSE_PER_WRITE_SECOND = 19.0  # seconds of pause per second of writing
# Groups per commit if messages are not acknowledged: takes 50 ms. 100,000 groups in one commit would take a
# second, during which the receive queue overflows.
_MAX_GROUPS_PER_COMMIT = 4096


class StorableGroups(Protocol):
    """The group states to save; in the daemon, `GroupStates` implements this."""

    def dump(self, group: str) -> bytes | None:
        """Return the state of a group; None if the group is not in memory."""

    def ended_incidents(self, groups: Iterable[str]) -> list[tuple[str, bytes]]:
        """Return (group, last closed incident) for the given groups whose incident is not saved yet."""

    def mark_saved(self, groups: Iterable[str]) -> None:
        """Record that the state of the given groups is saved, with their closed incidents."""

    @property
    def deleted_groups(self) -> Collection[str]:
        """Groups that the store has to delete."""

    def mark_deleted(self, groups: Iterable[str]) -> None:
        """Record that the store has deleted these groups."""


class Committer:
    """Writes changed groups, messages to publish, mutes and Sparkplug births to the store.

    Parameters
    ----------
    store : the store; no other object writes to it.
    outbox : the messages to publish, as read from the store.
    groups : the state of the groups.
    mutes : the mutes to save.
    metrics : the metrics, to count failures.
    max_groups : maximum number of groups in memory; the store keeps ten times as many.
    each_batch : whether every batch is saved completely, because its messages are acknowledged afterwards
        (QoS 1 and 2). If false, commits are made once a second.
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
        self._unsaved_groups: dict[str, None] = {}  # groups with unsaved changes
        # Unsaved groups that are left of the current round of commits; the next group is the last item.
        self._commit_queue: list[str] = []
        self._unsaved_births: dict[str, bytes] = {}
        self._next_commit_at = 0.0
        self._commit_count = 0
        self.problem = ""
        """Why the store can't be written, as text for users; "" if it can."""

    @property
    def has_unsaved_changes(self) -> bool:
        """Whether something that was received is not saved."""
        return bool(self._unsaved_groups or self._unsaved_births)

    def commit(
        self,
        groups: Iterable[str],
        messages: Iterable[OutboundMessage],
        births: Mapping[str, bytes] | None = None,
    ) -> bool:
        """Save the state of changed groups, the messages to publish and births; return whether all is saved.

        If the store can't be written, a later call tries again.
        """
        self._unsaved_births.update(births or {})
        self._unsaved_groups.update(dict.fromkeys(groups))
        if len(self._unsaved_groups) > _UNSAVED_GROUPS_FACTOR * self._max_groups:
            # While the disk is full, groups are evicted although they are not saved: they have no state any
            # more.
            self._unsaved_groups = {
                name: None for name in self._unsaved_groups if self._groups.dump(name) is not None
            }
        self._outbox.add(messages)
        is_deferred = self.problem or not self._each_batch
        if is_deferred and self._monotonic() < self._next_commit_at:
            return False
        return self.flush() if self._each_batch else self._commit_groups(self._next_commit_groups())

    def flush(self) -> bool:
        """Write all unsaved changes; return whether everything is saved."""
        return self._commit_groups(list(self._unsaved_groups))

    def commit_now(self, groups: Iterable[str]) -> bool:
        """Write the given groups and all messages now; return whether they are saved.

        With QoS 0 some group is always unsaved: a response that waits until all groups are saved would never
        be sent.
        """
        if self.problem:
            return False
        next_commit_at = self._next_commit_at
        if not self._save_groups([name for name in groups if name in self._unsaved_groups]):
            return False
        self._next_commit_at = next_commit_at  # this commit does not delay the next regular commit
        return True

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _next_commit_groups(self) -> list[str]:
        """Return the next part of the unsaved groups, so that all get their turn."""
        if not self._commit_queue:
            self._commit_queue = sorted(self._unsaved_groups, reverse=True)
        names = self._commit_queue[-_MAX_GROUPS_PER_COMMIT:]
        del self._commit_queue[-_MAX_GROUPS_PER_COMMIT:]
        return names

    def _commit_groups(self, names: list[str]) -> bool:
        """Write the given groups and all messages; return whether no unsaved group remains."""
        return self._save_groups(names) and not self.has_unsaved_changes

    def _save_groups(self, names: list[str]) -> bool:
        """Write the given groups and all messages; return whether the transaction was committed."""
        outbox, mutes, deleted = self._outbox, self._mutes, list(self._groups.deleted_groups)
        births, messages_changed = self._unsaved_births, outbox.unsaved_messages or outbox.removed_numbers
        if not (names or deleted or births or messages_changed or mutes.dirty):
            return True
        names = sorted(names)  # in the order of the rows in the file, so that each page is written only once
        started_at = self._monotonic()
        self._next_commit_at = started_at + _COMMIT_INTERVAL_S
        try:
            ended_incidents = self._groups.ended_incidents(names)
            self._store.save(
                self._dump_groups(names), outbox, time.time(), mutes, ended_incidents, deleted, births
            )
            self._schedule_next(started_at)
            self._commit_count += 1
            if self._commit_count % _COMMITS_PER_TRIM == 0:
                self._trim_store()
        except sqlite3.OperationalError as error:
            self._record_failure(error)
            return False
        births.clear()
        for name in names:
            self._unsaved_groups.pop(name, None)
        self._groups.mark_saved(names)
        self._groups.mark_deleted(deleted)
        if self.problem:
            self.problem = ""
            _log.info("the store can be written again")
        return True

    def _schedule_next(self, started_at: float) -> None:
        """Set the time of the next commit, which applies if messages are not acknowledged."""
        finished_at = self._monotonic()
        resume_at = finished_at + _PAUSE_PER_WRITE_SECOND * (finished_at - started_at)
        # Between the commits of one round the interval of a second does not apply.
        self._next_commit_at = resume_at if self._commit_queue else max(self._next_commit_at, resume_at)

    def _dump_groups(self, names: list[str]) -> Iterator[tuple[str, bytes]]:
        for group in names:
            value = self._groups.dump(group)
            if value is not None:
                yield group, value

    def _trim_store(self) -> None:
        removed_count = self._store.trim_groups(_STORED_GROUPS_FACTOR * self._max_groups, time.time())
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
