"""The pipeline's surroundings in the running daemon: broker, inbox and store behind four verbs."""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from monitor.core.messages import Delivery, Outgoing, Taken
from monitor.groups.incidents import Incidents
from monitor.groups.mutes import Mutes
from monitor.mqtt import Session
from monitor.mqtt.receive_queue import Inbox
from monitor.publish.message_properties import about
from monitor.storage.store import Store
from monitor.telemetry.metrics import Metrics

__all__ = ["Edge"]

_log = logging.getLogger(__name__)

# What the session may hold unconfirmed; the rest waits in the outbox, so that its queue stays bounded.
_LARGEST_IN_FLIGHT = 1000
# Messages that may wait to be published. Beyond it no reading is taken: with QoS 1 the broker keeps them,
# with QoS 0 they overflow.
_LARGEST_OUTBOX = 20_000
# The store is looked through for groups too many after so many commits.
_TRIM_AFTER = 1000
# How many times the groups in memory the store may hold.
_STORED = 10
# How many times the groups in memory may have a name among those to be saved.
_UNSAVED = 4
# As many states may be there while readings wait to be judged: to publish one costs twelve times what judging
# a reading does, and a newer one takes the place of one that waits.
_STATES_WHEN_BUSY = 50
# How long the broker is given to confirm before it is looked at again what can be published now, in seconds.
_HOLD = 0.02
# With QoS 0 nothing waits for the store, and it is written this often, in seconds; after a failure, too. If
# so many groups speak that it takes long, it is written less often, so that judging keeps most of the time.
_COMMIT_EVERY = 1.0
_PAUSE_FOR_EACH = 19.0  # seconds of pause for a second of writing
# Groups of one such commit, 50 ms of work: 100,000 at once take a second, and meanwhile readings overflow.
_PORTION = 4096

Dump = Callable[[str], bytes | None]
"""Returns what is known of a group, as the store keeps it."""


class Edge:
    """Joins what the pipeline takes from and gives to.

    Parameters
    ----------
    inbox : where the session puts messages.
    session : the connection that readings come from, to be acknowledged there.
    outgoing : the connection that messages go out by.
    store : keeps state and the outbox.
    dump : tells the state of a group.
    mutes : is kept in the store as well.
    incidents : gives away those that are over, each with its group's state.
    base_topic : all output goes below it.
    most_groups : how many groups memory holds; the store keeps ten times as many.
    acknowledges : whether readings come with QoS 1 or 2, so that each batch is written before it is
        acknowledged.
    metrics : counts failures.
    monotonic, wall : return monotonic seconds and seconds since the Unix epoch.
    """

    def __init__(
        self,
        inbox: Inbox,
        session: Session,
        outgoing: Session,
        store: Store,
        dump: Dump,
        mutes: Mutes,
        incidents: Incidents,
        base_topic: str,
        metrics: Metrics,
        *,
        most_groups: int,
        acknowledges: bool,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._inbox = inbox
        self._session = session
        self._outgoing = outgoing
        self._store = store
        self._outbox = store.outbox()
        self._dump = dump
        self._mutes = mutes
        self._incidents = incidents
        self._base_topic = base_topic
        self._metrics = metrics
        self._most_groups = most_groups
        self._acknowledges = acknowledges
        self._monotonic = monotonic
        self._wall = wall
        self._changed: dict[str, None] = {}  # groups whose state the store doesn't have yet
        self._held: list[object] = []  # receipts of messages that the store doesn't know of yet
        self._next_portions: list[str] = []  # of the changed groups, last name first
        self._next_commit = 0.0
        self._commits = 0
        self._more = False  # whether so much is on its way that more may wait
        self.problem = ""
        """Why nothing can be written, for people; "" while it can."""

    @property
    def waiting(self) -> int:
        """How many messages the broker has not confirmed yet."""
        return len(self._outbox)

    def take(self, timeout: float) -> Taken:
        """Return all that waits; wait for something at most `timeout` seconds."""
        if len(self._outbox) >= _LARGEST_OUTBOX:
            return self._inbox.hold(min(timeout, _HOLD))
        if self._outgoing.ready and (self._more or self._outbox.first()):
            # 100,000 states take a minute otherwise, for a thousand are under way at a time.
            timeout = min(timeout, _HOLD)
        return self._inbox.take(timeout)

    def commit(self, groups: Iterable[str], messages: Iterable[Outgoing]) -> bool:
        """Make the changed groups' state and the messages to send permanent; return whether they are.

        Where the disk doesn't take it, it is tried again later, and nothing is acknowledged until then.
        """
        self._changed.update(dict.fromkeys(groups))
        if len(self._changed) > _UNSAVED * self._most_groups:
            # While the disk is full, groups that were set aside unsaved are gone: their names go too.
            self._changed = {name: None for name in self._changed if self._dump(name) is not None}
        self._outbox.add(messages)
        waits = self.problem or not self._acknowledges
        if waits and self._monotonic() < self._next_commit:
            return False
        return self.flush() if self._acknowledges else self._write(self._portion())

    def flush(self) -> bool:
        """Write what isn't yet permanent; return whether all is."""
        return self._write(list(self._changed))

    def secure(self, groups: Iterable[str]) -> bool:
        """Write these groups now, with all messages; return whether they are permanent.

        With QoS 0 the store is always behind, and who asked for something would wait without end.
        """
        if self.problem:
            return False
        due = self._next_commit
        if not self._save([name for name in groups if name in self._changed]):
            return False
        self._next_commit = due  # all others wait no longer for it
        return True

    def _portion(self) -> list[str]:
        """Return some of the changed groups, in turn."""
        if not self._next_portions:
            self._next_portions = sorted(self._changed, reverse=True)
        names = self._next_portions[-_PORTION:]
        del self._next_portions[-_PORTION:]
        return names

    def _write(self, names: list[str]) -> bool:
        """Write these groups and all messages; return whether nothing is left to write."""
        return self._save(names) and not self._changed

    def _save(self, names: list[str]) -> bool:
        """Write these groups and all messages; return whether that worked."""
        outbox, mutes, past = self._outbox, self._mutes, self._incidents.past
        if not (names or outbox.unsaved or outbox.gone or mutes.unsaved):
            return True
        names = sorted(names)  # as they lie in the file: each of its pages is written once
        began = self._monotonic()
        self._next_commit = began + _COMMIT_EVERY
        try:
            over = [(name, past[name]) for name in names if name in past]
            self._store.save(self._values(names), outbox, self._wall(), mutes, over)
            ended = self._monotonic()
            pause = _PAUSE_FOR_EACH * (ended - began)
            # The rest of what was due needs no second's wait.
            self._next_commit = (
                ended + pause if self._next_portions else max(self._next_commit, ended + pause)
            )
            self._commits += 1
            if self._commits % _TRIM_AFTER == 0:
                self._trim()
        except sqlite3.OperationalError as error:
            self._fail(error)
            return False
        for name in names:
            self._changed.pop(name, None)
            past.pop(name, None)
        if self.problem:
            self.problem = ""
            _log.info("the store can be written again")
        return True

    def emit(self, states: Iterator[Outgoing]) -> bool:
        """Publish what the outbox holds, then states, as far as there is room; return if all is confirmed.

        States only for as long as the connection lasts: the session sends them again after a break, and the
        next process says all of them.
        """
        outbox, outgoing = self._outbox, self._outgoing
        for number in outgoing.delivered():
            outbox.delivered(number)
        while outgoing.ready and outbox.in_flight < _LARGEST_IN_FLIGHT and (message := outbox.first()):
            outbox.sent(self._publish(message))
        most = _STATES_WHEN_BUSY if len(self._inbox) else _LARGEST_IN_FLIGHT
        while (
            outbox.first() is None  # what is said of one group stays in order
            and outgoing.ready
            and outbox.in_flight < most
            and (message := next(states, None))
        ):
            outbox.passed_by(self._publish(message))
        self._more = outbox.in_flight >= most
        return len(outbox) == 0 and outbox.in_flight == 0

    def _publish(self, message: Outgoing) -> int:
        topic = message.topic if message.whole else f"{self._base_topic}/{message.topic}"
        return self._outgoing.publish(topic, message.payload, retain=message.retain, about=about(message))

    def acknowledge(self, messages: Sequence[Delivery]) -> None:
        """Tell the broker that these messages are dealt with, as soon as the store knows."""
        if not self._acknowledges:
            return
        self._held += [receipt for _, _, receipt, _ in messages if receipt is not None]
        if self._held and not self._changed:
            self._session.acknowledge(self._held)
            self._held.clear()

    def _values(self, names: list[str]) -> Iterator[tuple[str, bytes]]:
        for group in names:
            value = self._dump(group)
            if value is not None:
                yield group, value

    def _trim(self) -> None:
        dropped = self._store.trim(_STORED * self._most_groups)
        if dropped:
            _log.warning(
                "the store held more than %s times input.max_groups: forgot the %s groups heard longest ago",
                _STORED, dropped,
            )  # fmt: skip

    def _fail(self, error: sqlite3.OperationalError) -> None:
        self._metrics.store_failures.inc()
        text = (
            f"the store can't be written ({error}): readings are judged and not acknowledged until it can; "
            "expected room on its disk"
        )
        if not self.problem:
            _log.error("%s", text)
        self.problem = text
