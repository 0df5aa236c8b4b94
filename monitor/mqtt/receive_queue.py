"""Where the network thread puts messages and the pipeline thread takes them: a bounded queue."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from monitor.core.messages import InboundMessage, MessageBatch, ReadOnce
from monitor.core.readings import Arrivals

__all__ = ["ReceiveQueue"]

# Half a second of the fastest feed seen; a plant's message is a few hundred bytes, so tens of megabytes.
CAPACITY = 65_536
# The same in bytes of payload, for a sender of large ones.
CAPACITY_BYTES = 64 << 20
# One pass of the pipeline: large enough for full batches, small enough to commit several times a second, and
# in bytes of payload, for arrays of thousands of readings.
MAX_BATCH = 4096
MAX_BATCH_BYTES = 4 << 20
# How long the network thread leaves what comes to the kernel while the pipeline is at work, in seconds. Read
# at once it would come in pieces of ten messages, and the calls around each cost more than the messages; and
# the pipeline would wait for Python's lock wherever it lets go of it: a turn of 0.55 ms took 1.0. This is
# half a turn of a full batch: by then a flood has filled the kernel's room, which spares the broker work.
_PAUSE_S = 0.02
# Who brought so many bytes of payload at once left more in the kernel, and reads on until a full batch waits:
# large messages would come in batches too small for two cores.
_LARGE_READ_BYTES = 1 << 17
# Stamps increase by at least this, in seconds: a float of today's Unix time can tell steps of 2.4e-7 apart.
_TIMESTAMP_STEP_S = 1e-6


_PutRecord = tuple[int, float, float, float]
"""So many messages, when they arrived by the wall clock, the stamp of the first, and by the monotonic one."""


class ReceiveQueue:
    """Holds messages between two threads.

    Parameters
    ----------
    wall_clock : returns seconds since the Unix epoch.
    monotonic : returns monotonic seconds.
    """

    def __init__(
        self, wall_clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._messages: deque[InboundMessage] = deque()
        self._put_records: deque[_PutRecord] = deque()  # when those that wait arrived
        self._queued_bytes = 0  # of payload that waits
        self._last_put_bytes = 0  # bytes of payload, the last time
        self._overflow_count = 0
        self._wake_requested = False
        self._last_substitute_ts = 0.0
        self._closed = False
        self._consumer_waiting = False  # whether the pipeline waits for what comes next
        self._read_once: ReadOnce | None = None  # reads in the place of who breathes
        self._pause_until = 0.0  # monotonic seconds
        self._consumer_reading = False  # whether the pipeline is reading
        lock = threading.Lock()
        self._not_empty = threading.Condition(lock)
        self._not_full = threading.Condition(lock)  # who puts more than fits waits for it
        self._pause_condition = threading.Condition(lock)  # who breathes waits for it

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._messages)

    def put(self, messages: Sequence[InboundMessage]) -> None:
        """Append messages. Where there is no room, one without a receipt is dropped and counted.

        One with a receipt is waited with: its sender stops reading, so that the broker holds back the next.
        Receive Maximum alone doesn't see to that, for mosquitto 2.0 exceeds it once some are acknowledged.
        """
        with self._not_empty:
            now = self._wall_clock(), self._monotonic()
            size = self._last_put_bytes = sum([len(payload) for _, payload, _, _ in messages])
            if self._is_full(len(messages), size):
                self._put_individually(messages, *now)
            elif messages and not self._closed:  # what isn't taken isn't acknowledged, so it comes again
                self._append(messages, size, *now)
            self._consumer_waiting = False  # it is at work from now on, though it may have yet to wake up
            self._not_empty.notify()

    def _put_individually(
        self, messages: Sequence[InboundMessage], arrived_at: float, arrived_monotonic: float
    ) -> None:
        for message in messages:
            _, payload, receipt, _ = message
            if self._is_full(1, len(payload)):
                if receipt is None:
                    self._overflow_count += 1
                    continue
                self._wait_for_space(len(payload))
            if self._closed:
                return
            self._append([message], len(payload), arrived_at, arrived_monotonic)

    def _append(
        self, messages: Sequence[InboundMessage], size: int, arrived_at: float, arrived_monotonic: float
    ) -> None:
        """Append messages with `severity` bytes of payload in all."""
        substitute_ts = max(arrived_at, self._last_substitute_ts + _TIMESTAMP_STEP_S)
        self._last_substitute_ts = substitute_ts + (len(messages) - 1) * _TIMESTAMP_STEP_S
        self._messages.extend(messages)
        self._put_records.append((len(messages), arrived_at, substitute_ts, arrived_monotonic))
        self._queued_bytes += size

    def _is_full(self, count: int, size: int) -> bool:
        waiting = len(self._messages)
        # One that is larger than all room there is still goes, alone.
        return waiting + count > CAPACITY or (
            self._queued_bytes + size > CAPACITY_BYTES and waiting + count > 1
        )

    def _wait_for_space(self, size: int) -> None:
        self._not_empty.notify()
        self._not_full.wait_for(lambda: self._closed or not self._is_full(1, size))

    def pause(self, read_once: ReadOnce) -> None:
        """Wait while the pipeline has work, at most a moment: what comes next need not hurry.

        A pipeline that is done before that reads in the caller's place: to wake one another for each reading
        takes time. At 500 readings/s, each an alert, the median came after 1.5 ms where it took 1.7.
        """
        with self._not_empty:
            large_read = self._last_put_bytes >= _LARGE_READ_BYTES and len(self._messages) < MAX_BATCH
            if self._consumer_waiting or large_read:
                return
            self._read_once, self._pause_until = read_once, self._monotonic() + _PAUSE_S
            self._pause_condition.wait(_PAUSE_S)
            self._read_once = None
            while self._consumer_reading:
                self._pause_condition.wait()

    def _read_as_consumer(self, read_once: ReadOnce, timeout: float) -> None:
        """Read in the place of who breathes, and let that thread go where it is needed."""
        self._consumer_reading = True
        self._not_empty.release()  # for `put`
        try:
            may_repeat = read_once(min(timeout, self._pause_until - self._monotonic()))
        finally:
            self._not_empty.acquire()
            self._consumer_reading = False
        if not may_repeat or self._last_put_bytes >= _LARGE_READ_BYTES:
            self._read_once = None
        if self._read_once is None:
            self._pause_condition.notify_all()

    def close(self) -> None:
        """Take no more, and let go who waits for room."""
        with self._not_empty:
            self._closed = True
            self._not_full.notify_all()
            self._pause_condition.notify_all()

    def wake(self) -> None:
        """Make the next `take` return at once, even with nothing."""
        with self._not_empty:
            self._wake_requested = True
            self._not_empty.notify()

    def take(self, timeout: float) -> MessageBatch:
        """Return all that waits, up to a batch; wait for the first at most `timeout` seconds."""
        deadline = self._monotonic() + timeout
        with self._not_empty:
            if self._read_once and not (self._messages or self._wake_requested):
                self._read_as_consumer(self._read_once, timeout)
            if not (self._messages or self._wake_requested):
                self._consumer_waiting = True
                self._pause_condition.notify_all()
                self._not_empty.wait(max(0.0, deadline - self._monotonic()))
                self._consumer_waiting = False
            self._wake_requested = False
            return self._take_batch(MAX_BATCH)

    def wait(self, timeout: float) -> MessageBatch:
        """Return no message, after `timeout` seconds: what comes in the meantime waits or overflows."""
        with self._not_empty:
            if not self._wake_requested:
                self._not_empty.wait_for(lambda: self._wake_requested, timeout)
            self._wake_requested = False
            return self._take_batch(0)

    def _take_batch(self, max_messages: int) -> MessageBatch:
        waiting, size = self._messages, self._queued_bytes
        if len(waiting) <= max_messages and size <= MAX_BATCH_BYTES:
            messages = list(waiting)
            waiting.clear()
        else:
            messages = [waiting.popleft() for _ in range(min(max_messages, len(waiting)))]
            size = sum([len(payload) for _, payload, _, _ in messages])
        while messages and size - len(messages[-1][1]) >= MAX_BATCH_BYTES:
            waiting.appendleft(messages.pop())
            size -= len(waiting[0][1])
        self._queued_bytes -= size
        self._not_full.notify_all()
        overflowed, self._overflow_count = self._overflow_count, 0
        return MessageBatch(messages, self._pop_arrivals(len(messages)), overflowed)

    def _pop_arrivals(self, count: int) -> Arrivals:
        """Take out when the first so many messages arrived."""
        put_records: list[_PutRecord] = []
        remaining = count
        while remaining:
            size, arrived_at, substitute_ts, arrived_monotonic = self._put_records.popleft()
            if size > remaining:
                self._put_records.appendleft(
                    (
                        size - remaining,
                        arrived_at,
                        substitute_ts + remaining * _TIMESTAMP_STEP_S,
                        arrived_monotonic,
                    )
                )
                size = remaining
            put_records.append((size, arrived_at, substitute_ts, arrived_monotonic))
            remaining -= size
        columns = np.array(put_records, np.float64).reshape(len(put_records), 4)  # (put, what it tells)
        if len(put_records) == count:
            return Arrivals(*columns.T[1:])
        sizes = columns[:, 0].astype(np.intp)
        _, arrived_at, substitute_ts_column, arrived_monotonic = columns.repeat(
            sizes, axis=0
        ).T  # each (message,)
        positions = np.arange(count) - (sizes.cumsum() - sizes).repeat(
            sizes
        )  # of each among those put at once
        return Arrivals(arrived_at, substitute_ts_column + positions * _TIMESTAMP_STEP_S, arrived_monotonic)
