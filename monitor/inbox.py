"""Where the network thread puts messages and the pipeline thread takes them: a bounded queue."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from monitor.listener import Delivery
from monitor.records import Message

__all__ = ["Inbox", "Taken"]

# Half a second of the fastest feed seen; a plant's message is a few hundred bytes, so tens of megabytes.
CAPACITY = 65_536
# The same in bytes of payload, for a sender of large ones.
CAPACITY_BYTES = 64 << 20
# One pass of the pipeline: large enough for full batches, small enough to commit several times a second, and
# in bytes of payload, for arrays of thousands of readings.
LARGEST_BATCH = 4096
LARGEST_BATCH_BYTES = 4 << 20
# How long the network thread leaves what comes to the kernel while the pipeline is at work, in seconds. Read
# at once it would come in pieces of ten messages, and the calls around each cost more than the messages; and
# the pipeline would wait for Python's lock wherever it lets go of it: a turn of 0.55 ms took 1.0.
_BREATH = 0.002
# Stamps increase by at least this, in seconds: a float of today's Unix time can tell steps of 2.4e-7 apart.
_TICK = 1e-6


@dataclass(frozen=True, slots=True)
class Taken:
    """What was waiting."""

    messages: list[Message]
    overflowed: int
    """Messages dropped for want of room since the last time."""


class Inbox:
    """Holds messages between two threads.

    Parameters
    ----------
    wall : returns seconds since the Unix epoch.
    monotonic : returns monotonic seconds.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._waiting: deque[Message] = deque()
        self._bytes = 0  # of payload that waits
        self._overflowed = 0
        self._nudged = False
        self._last_stamp = 0.0
        self._closed = False
        self._awaited = False  # whether the pipeline waits for what comes next
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._room = threading.Condition(lock)
        self._rest = threading.Condition(lock)

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._waiting)

    def put(self, messages: Iterable[Delivery]) -> None:
        """Append messages. Where there is no room, one without a receipt is dropped and counted.

        One with a receipt is waited with: its sender stops reading, so that the broker holds back the next.
        Receive Maximum alone doesn't see to that, for mosquitto 2.0 exceeds it once some are acknowledged.
        """
        with self._changed:
            arrived_at, received = self._wall(), self._monotonic()
            waiting = self._waiting
            for topic, payload, receipt, redelivered in messages:
                size = len(payload)
                if self._is_full(size):
                    if receipt is None:
                        self._overflowed += 1
                        continue
                    self._await_room(size)
                if self._closed:
                    return  # it isn't acknowledged, so it comes again
                self._last_stamp = stamp = max(arrived_at, self._last_stamp + _TICK)
                waiting.append(Message(topic, payload, arrived_at, stamp, received, receipt, redelivered))
                self._bytes += size
            self._awaited = False  # it is at work from now on, though it may have yet to wake up
            self._changed.notify()

    def _is_full(self, size: int) -> bool:
        # One that is larger than all room there is still goes, alone.
        return len(self._waiting) >= CAPACITY or (self._bytes + size > CAPACITY_BYTES and bool(self._waiting))

    def _await_room(self, size: int) -> None:
        self._changed.notify()
        self._room.wait_for(lambda: self._closed or not self._is_full(size))

    def breathe(self) -> None:
        """Wait while the pipeline has work, at most a moment: more need not hurry."""
        with self._changed:
            if not self._awaited:
                self._rest.wait(_BREATH)

    def close(self) -> None:
        """Take no more, and let go who waits for room."""
        with self._changed:
            self._closed = True
            self._room.notify_all()
            self._rest.notify_all()

    def nudge(self) -> None:
        """Make the next `take` return at once, even with nothing."""
        with self._changed:
            self._nudged = True
            self._changed.notify()

    def take(self, timeout: float) -> Taken:
        """Return all that waits, up to a batch; wait for the first at most `timeout` seconds."""
        with self._changed:
            if not (self._waiting or self._nudged):
                self._awaited = True
                self._rest.notify_all()
                self._changed.wait(timeout)
                self._awaited = False
            self._nudged = False
            return self._take(LARGEST_BATCH)

    def hold(self, timeout: float) -> Taken:
        """Return no message, after `timeout` seconds: what comes in the meantime waits or overflows."""
        with self._changed:
            if not self._nudged:
                self._changed.wait_for(lambda: self._nudged, timeout)
            self._nudged = False
            return self._take(0)

    def _take(self, most: int) -> Taken:
        messages: list[Message] = []
        size = 0
        if len(self._waiting) <= most and self._bytes <= LARGEST_BATCH_BYTES:
            messages, size = list(self._waiting), self._bytes
            self._waiting.clear()
        while self._waiting and len(messages) < most and size < LARGEST_BATCH_BYTES:
            message = self._waiting.popleft()
            messages.append(message)
            size += len(message.payload)
        self._bytes -= size
        self._room.notify_all()
        overflowed, self._overflowed = self._overflowed, 0
        return Taken(messages, overflowed)
