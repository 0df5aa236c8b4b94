"""The bounded queue that the network thread puts messages into and the pipeline thread takes them from."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf

import numpy as np

from monitor.core.clock_steps import MIN_STEP_S, ClockSteps
from monitor.core.messages import EXCESS_FLAG, InboundMessage, MessageBatch, ReadOnce
from monitor.core.readings import Arrivals

__all__ = ["ReceiveQueue"]

# Messages: half a second of the fastest feed seen. A plant's message is a few hundred bytes, so tens of
# megabytes.
CAPACITY = 65_536
# Bytes of payload, the limit for a sender of large messages.
CAPACITY_BYTES = 64 << 20
# One batch of the pipeline: large enough for efficient arrays, small enough to commit several times a second.
# The limit in bytes of payload is for messages that are arrays of thousands of readings.
MAX_BATCH = 4096
MAX_BATCH_BYTES = 4 << 20
# A batch of so many messages or bytes shows that they arrive faster than they are judged: with idle times
# between them batches have a few messages. 1,024 are 10 ms of work.
_LARGE_BATCH = 1024
_LARGE_BATCH_BYTES = 1 << 19
# Seconds for which that counts beyond the batch: what is in excess makes the next ones small, and without
# them each second message of a flood would be read.
_BEHIND_S = 1.0
# How long the network thread leaves arriving data in the kernel's buffer while the pipeline works, in
# seconds. Read at once the data would come in pieces of ten messages, and the calls around each piece cost
# more than its messages; and the pipeline would wait for Python's GIL wherever it releases it: an iteration
# of 0.55 ms took 1.0. This is half an iteration of a full batch: by then a flood has filled the kernel's
# buffer, which also spares the broker work.
_PAUSE_S = 0.02
# After a read of so many bytes of payload there is more in the kernel's buffer, and the network thread
# reads on until a full batch waits: large messages would otherwise come in batches too small for two cores.
_LARGE_READ_BYTES = 1 << 17
# Messages in excess for which the pipeline is woken: each time costs 0.5 ms, as much as such a message of
# 1 MiB takes to arrive.
_EXCESS_PER_WAKE = 64
# Substitute timestamps increase by at least this, in seconds: floats of today's Unix time have steps of
# 2.4e-7.
_TIMESTAMP_STEP_S = 1e-6


_PutRecord = tuple[int, float, float, float]
"""Number of messages put at once, their arrival by the wall clock, the substitute `ts` of the first of them,
and their arrival by the monotonic clock; times in seconds."""


class ReceiveQueue:
    """Passes messages from the network thread to the pipeline thread.

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
        self._put_records: deque[_PutRecord] = deque()  # of the messages that wait
        self._queued_bytes = 0  # of payload that waits
        self._last_put_bytes = 0  # of payload in the last `put`
        self._overflow_count = 0
        self._has_excess = False  # whether some message that waits has `EXCESS_FLAG`
        self._wake_requested = False
        self._last_substitute_ts = 0.0
        self._clock_steps = ClockSteps()
        self._clock_steps.observe(wall_clock(), monotonic())
        # When the wall clock was set: number of messages taken before, and seconds.
        self._pending_steps: deque[tuple[int, float]] = deque()
        self._taken_count = 0  # of messages that were taken
        self._behind_until = -inf  # monotonic seconds
        self._closed = False
        self._consumer_waiting = False  # whether the pipeline waits for the next message
        self._read_once: ReadOnce | None = None  # reads the socket while the network thread pauses
        self._pause_until = 0.0  # monotonic seconds
        self._consumer_reading = False  # whether the pipeline thread reads the socket
        lock = threading.Lock()
        self._not_empty = threading.Condition(lock)  # `take` waits for it
        self._not_full = threading.Condition(lock)  # `put` waits for it
        self._pause_condition = threading.Condition(lock)  # `pause` waits for it

    @property
    def is_behind(self) -> bool:
        """Whether more waited of late than a pipeline that keeps up finds."""
        return self._monotonic() < self._behind_until

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._messages)

    def put(self, messages: Sequence[InboundMessage]) -> None:
        """Append messages. Where there is no room, a message without an ack token is dropped and counted.

        With a token (QoS 1 and 2) the call waits for room: the network thread stops reading, so the broker
        holds back the next messages. Receive Maximum alone doesn't ensure that, because mosquitto 2.0
        exceeds it once some messages are acknowledged.
        """
        with self._not_empty:
            now = self._read_clocks()
            sizes = [len(payload) for _, payload, _, _ in messages]
            size = self._last_put_bytes = sum(sizes)
            excess = 0
            if 0 in sizes:  # rarely
                excess = sum([bool(flags & EXCESS_FLAG) for _, _, _, flags in messages])
            if excess:
                self._has_excess, self._last_put_bytes = True, max(size, _LARGE_READ_BYTES)
            if self._is_full(len(messages), size):
                self._put_individually(messages, *now)
            elif messages and not self._closed:  # messages that are dropped then come again: they get no ack
                self._append(messages, size, *now)
            if not excess or excess < len(messages) or len(self._messages) >= _EXCESS_PER_WAKE:
                self._consumer_waiting = False  # it works from now on, though its thread may not run yet
                self._not_empty.notify()

    def _read_clocks(self) -> tuple[float, float]:
        """Return both clocks; if the wall clock was set, the messages from now on are another batch."""
        wall, monotonic = self._wall_clock(), self._monotonic()
        step = self._clock_steps.observe(wall, monotonic)
        if step:
            self._pending_steps.append((self._taken_count + len(self._messages), step))
            self._wake_requested = True
        # Small steps back, each of which is too small to be noticed, also add up.
        if step or wall < self._last_substitute_ts - MIN_STEP_S:
            self._last_substitute_ts = 0.0
        return wall, monotonic

    def _put_individually(
        self, messages: Sequence[InboundMessage], arrived_at: float, arrived_monotonic: float
    ) -> None:
        for message in messages:
            _, payload, ack_token, _ = message
            if self._is_full(1, len(payload)):
                if ack_token is None:
                    self._overflow_count += 1
                    continue
                self._wait_for_space(len(payload))
            if self._closed:
                return
            self._append([message], len(payload), arrived_at, arrived_monotonic)

    def _append(
        self, messages: Sequence[InboundMessage], size: int, arrived_at: float, arrived_monotonic: float
    ) -> None:
        """Append messages with `size` bytes of payload in all."""
        substitute_ts = max(arrived_at, self._last_substitute_ts + _TIMESTAMP_STEP_S)
        self._last_substitute_ts = substitute_ts + (len(messages) - 1) * _TIMESTAMP_STEP_S
        self._messages.extend(messages)
        self._put_records.append((len(messages), arrived_at, substitute_ts, arrived_monotonic))
        self._queued_bytes += size

    def _is_full(self, count: int, size: int) -> bool:
        waiting = len(self._messages)
        # A message that is larger than the capacity is accepted when it is alone.
        return waiting + count > CAPACITY or (
            self._queued_bytes + size > CAPACITY_BYTES and waiting + count > 1
        )

    def _wait_for_space(self, size: int) -> None:
        self._not_empty.notify()
        self._not_full.wait_for(lambda: self._closed or not self._is_full(1, size))

    def pause(self, read_once: ReadOnce) -> None:
        """Wait while the pipeline works, at most 20 ms: it could not take the next messages anyway.

        A pipeline that is done earlier calls `read_once` in place of the caller, because two threads that
        wake each other for each reading take longer: at 500 readings/s, each an alert, the median latency
        was 1.7 ms that way and is 1.5.
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
        """Read the socket in place of the network thread, which pauses; end its pause where it is needed."""
        self._consumer_reading = True
        self._not_empty.release()  # `read_once` calls `put`
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
        """Accept no more messages, and end the waiting in `put` and `pause`."""
        with self._not_empty:
            self._closed = True
            self._not_full.notify_all()
            self._pause_condition.notify_all()

    def wake(self) -> None:
        """Make the present or next `take` return at once, even without a message."""
        with self._not_empty:
            self._wake_requested = True
            self._not_empty.notify()

    def take(self, timeout: float) -> MessageBatch:
        """Return all messages that wait, up to a batch; wait for the first at most `timeout` seconds."""
        with self._not_empty:
            deadline = self._read_clocks()[1] + timeout
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
        """Return no message, after `timeout` seconds; messages that arrive wait, or overflow."""
        with self._not_empty:
            if not self._wake_requested:
                self._not_empty.wait_for(lambda: self._wake_requested, timeout)
            self._wake_requested = False
            return self._take_batch(0)

    def _take_batch(self, max_messages: int) -> MessageBatch:
        clock_step = 0.0
        while self._pending_steps and self._pending_steps[0][0] == self._taken_count:
            clock_step += self._pending_steps.popleft()[1]
        if self._pending_steps:  # the messages after the step are the next batch
            max_messages = min(max_messages, self._pending_steps[0][0] - self._taken_count)
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
        if len(messages) >= _LARGE_BATCH or size >= _LARGE_BATCH_BYTES:
            self._behind_until = inf  # however long the pipeline takes for it
        elif self._behind_until == inf:
            self._behind_until = self._monotonic() + _BEHIND_S
        self._queued_bytes -= size
        self._taken_count += len(messages)
        self._not_full.notify_all()
        overflowed, self._overflow_count = self._overflow_count, 0
        arrivals = self._pop_arrivals(len(messages))
        complete_until = self._put_records[0][3] if self._put_records else self._monotonic()
        batch = MessageBatch(messages, arrivals, overflowed, complete_until, clock_step)
        if self._has_excess:
            self._has_excess = bool(waiting)
            return _separate_excess(batch)
        return batch

    def _pop_arrivals(self, count: int) -> Arrivals:
        """Remove and return the arrivals of the first `count` messages."""
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
        columns = np.array(put_records, np.float64).reshape(len(put_records), 4)  # (put, 4)
        if len(put_records) == count:
            return Arrivals(*columns.T[1:])
        sizes = columns[:, 0].astype(np.intp)
        _, arrived_at, substitute_ts_column, arrived_monotonic = columns.repeat(
            sizes, axis=0
        ).T  # each (message,)
        # Of each message among those of its `put`: (message,).
        positions = np.arange(count) - (sizes.cumsum() - sizes).repeat(sizes)
        return Arrivals(arrived_at, substitute_ts_column + positions * _TIMESTAMP_STEP_S, arrived_monotonic)


def _separate_excess(batch: MessageBatch) -> MessageBatch:
    """Take the messages in excess out of those that are to be read."""
    received = batch.messages
    kept = [index for index, message in enumerate(received) if not message[3] & EXCESS_FLAG]
    if len(kept) == len(received):
        return batch
    arrivals = batch.arrivals
    return replace(
        batch,
        messages=[received[index] for index in kept],
        arrivals=Arrivals(
            arrivals.arrived_at[kept], arrivals.substitute_ts[kept], arrivals.arrived_monotonic[kept]
        ),
        excess=[topic for topic, _, _, flags in received if flags & EXCESS_FLAG],
        received=received,
    )
