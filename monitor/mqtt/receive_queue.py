"""Where the network thread puts messages and the pipeline thread takes them: a bounded queue."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from monitor.core.messages import Delivery, Read, Taken
from monitor.core.readings import Arrivals

__all__ = ["Inbox"]

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
# the pipeline would wait for Python's lock wherever it lets go of it: a turn of 0.55 ms took 1.0. This is
# half a turn of a full batch: by then a flood has filled the kernel's room, which spares the broker work.
_BREATH = 0.02
# Who brought so many bytes of payload at once left more in the kernel, and reads on until a full batch waits:
# large messages would come in batches too small for two cores.
_MORE_TO_COME = 1 << 17
# Stamps increase by at least this, in seconds: a float of today's Unix time can tell steps of 2.4e-7 apart.
_TICK = 1e-6


_Put = tuple[int, float, float, float]
"""So many messages, when they arrived by the wall clock, the stamp of the first, and by the monotonic one."""


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
        self._waiting: deque[Delivery] = deque()
        self._puts: deque[_Put] = deque()  # when those that wait arrived
        self._bytes = 0  # of payload that waits
        self._brought = 0  # bytes of payload, the last time
        self._overflowed = 0
        self._nudged = False
        self._last_stamp = 0.0
        self._closed = False
        self._awaited = False  # whether the pipeline waits for what comes next
        self._lent: Read | None = None  # reads in the place of who breathes
        self._lent_until = 0.0  # monotonic seconds
        self._borrowed = False  # whether the pipeline is reading
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._room = threading.Condition(lock)  # who puts more than fits waits for it
        self._rest = threading.Condition(lock)  # who breathes waits for it

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._waiting)

    def put(self, messages: Sequence[Delivery]) -> None:
        """Append messages. Where there is no room, one without a receipt is dropped and counted.

        One with a receipt is waited with: its sender stops reading, so that the broker holds back the next.
        Receive Maximum alone doesn't see to that, for mosquitto 2.0 exceeds it once some are acknowledged.
        """
        with self._changed:
            now = self._wall(), self._monotonic()
            size = self._brought = sum([len(payload) for _, payload, _, _ in messages])
            if self._is_full(len(messages), size):
                self._squeeze_in(messages, *now)
            elif messages and not self._closed:  # what isn't taken isn't acknowledged, so it comes again
                self._append(messages, size, *now)
            self._awaited = False  # it is at work from now on, though it may have yet to wake up
            self._changed.notify()

    def _squeeze_in(self, messages: Sequence[Delivery], arrived_at: float, received: float) -> None:
        for message in messages:
            _, payload, receipt, _ = message
            if self._is_full(1, len(payload)):
                if receipt is None:
                    self._overflowed += 1
                    continue
                self._await_room(len(payload))
            if self._closed:
                return
            self._append([message], len(payload), arrived_at, received)

    def _append(self, messages: Sequence[Delivery], size: int, arrived_at: float, received: float) -> None:
        """Append messages with `size` bytes of payload in all."""
        stamp = max(arrived_at, self._last_stamp + _TICK)
        self._last_stamp = stamp + (len(messages) - 1) * _TICK
        self._waiting.extend(messages)
        self._puts.append((len(messages), arrived_at, stamp, received))
        self._bytes += size

    def _is_full(self, count: int, size: int) -> bool:
        waiting = len(self._waiting)
        # One that is larger than all room there is still goes, alone.
        return waiting + count > CAPACITY or (self._bytes + size > CAPACITY_BYTES and waiting + count > 1)

    def _await_room(self, size: int) -> None:
        self._changed.notify()
        self._room.wait_for(lambda: self._closed or not self._is_full(1, size))

    def breathe(self, read: Read) -> None:
        """Wait while the pipeline has work, at most a moment: what comes next need not hurry.

        A pipeline that is done before that reads in the caller's place: to wake one another for each reading
        takes time. At 500 readings/s, each an alert, the median came after 1.5 ms where it took 1.7.
        """
        with self._changed:
            much = self._brought >= _MORE_TO_COME and len(self._waiting) < LARGEST_BATCH
            if self._awaited or much:
                return
            self._lent, self._lent_until = read, self._monotonic() + _BREATH
            self._rest.wait(_BREATH)
            self._lent = None
            while self._borrowed:
                self._rest.wait()

    def _read(self, read: Read, timeout: float) -> None:
        """Read in the place of who breathes, and let that thread go where it is needed."""
        self._borrowed = True
        self._changed.release()  # for `put`
        try:
            again = read(min(timeout, self._lent_until - self._monotonic()))
        finally:
            self._changed.acquire()
            self._borrowed = False
        if not again or self._brought >= _MORE_TO_COME:
            self._lent = None
        if self._lent is None:
            self._rest.notify_all()

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
        ends = self._monotonic() + timeout
        with self._changed:
            if self._lent and not (self._waiting or self._nudged):
                self._read(self._lent, timeout)
            if not (self._waiting or self._nudged):
                self._awaited = True
                self._rest.notify_all()
                self._changed.wait(max(0.0, ends - self._monotonic()))
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
        waiting, size = self._waiting, self._bytes
        if len(waiting) <= most and size <= LARGEST_BATCH_BYTES:
            messages = list(waiting)
            waiting.clear()
        else:
            messages = [waiting.popleft() for _ in range(min(most, len(waiting)))]
            size = sum([len(payload) for _, payload, _, _ in messages])
        while messages and size - len(messages[-1][1]) >= LARGEST_BATCH_BYTES:
            waiting.appendleft(messages.pop())
            size -= len(waiting[0][1])
        self._bytes -= size
        self._room.notify_all()
        overflowed, self._overflowed = self._overflowed, 0
        return Taken(messages, self._arrivals(len(messages)), overflowed)

    def _arrivals(self, count: int) -> Arrivals:
        """Take out when the first so many messages arrived."""
        puts: list[_Put] = []
        left = count
        while left:
            size, arrived_at, stamp, received = self._puts.popleft()
            if size > left:
                self._puts.appendleft((size - left, arrived_at, stamp + left * _TICK, received))
                size = left
            puts.append((size, arrived_at, stamp, received))
            left -= size
        columns = np.array(puts, np.float64).reshape(len(puts), 4)  # (put, what it tells)
        if len(puts) == count:
            return Arrivals(*columns.T[1:])
        sizes = columns[:, 0].astype(np.intp)
        _, arrived_at, stamps, received = columns.repeat(sizes, axis=0).T  # each (message,)
        places = np.arange(count) - (sizes.cumsum() - sizes).repeat(sizes)  # of each among those put at once
        return Arrivals(arrived_at, stamps + places * _TICK, received)
