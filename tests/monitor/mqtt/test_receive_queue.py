import threading
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from monitor.core.messages import DUP_FLAG, EXCESS_FLAG, InboundMessage, MessageBatch
from monitor.mqtt.receive_queue import CAPACITY, CAPACITY_BYTES, MAX_BATCH, MAX_BATCH_BYTES, ReceiveQueue
from tests.conftest import wait_until


def _read_nothing(_: float) -> bool:
    return False


def _make_queue(wall_clock: float = 100.0, monotonic: float = 7.0) -> ReceiveQueue:
    return ReceiveQueue(lambda: wall_clock, lambda: monotonic)


def test_take_returns_all_queued() -> None:
    """`take` returns all waiting messages in the order of arrival, with the times of both clocks, once."""
    queue = _make_queue()
    queue.put([("a", b"1", None, False)])
    queue.put([("b", b"2", "token", False)])
    assert len(queue) == 2
    batch = queue.take(0)
    assert batch.messages == [("a", b"1", None, False), ("b", b"2", "token", False)]
    arrivals = batch.arrivals
    assert (arrivals.arrived_at.tolist(), arrivals.arrived_monotonic.tolist()) == ([100.0] * 2, [7.0] * 2)
    assert len(queue) == 0
    assert queue.take(0).messages == []


def test_substitute_ts_increase() -> None:
    """Substitute timestamps strictly increase, also where the clock stops or goes back by a few seconds."""
    clock = [1.8e9]
    queue = ReceiveQueue(lambda: clock[0], lambda: 0.0)
    for step in (0.0, 0.0, 0.001, -4.0, 0.0, 4.5):
        clock[0] += step
        queue.put([("t", b"", None, False)])
    arrivals = queue.take(0).arrivals
    times = arrivals.substitute_ts.tolist()
    assert all(earlier < later for earlier, later in pairwise(times))
    assert (times[0], times[2], times[-1]) == (1.8e9, 1.8e9 + 0.001, clock[0])
    assert arrivals.arrived_at[3] == 1.8e9 + 0.001 - 4


def test_clock_that_is_set() -> None:
    """The messages after a step of the clock are another batch, which has the step and the new times."""
    clock = [1.8e9]
    queue = ReceiveQueue(lambda: clock[0], lambda: 0.0)
    for step in (0.0, 0.001, -3600.0, 0.001, 7200.0):
        clock[0] += step
        queue.put([("t", b"", None, False)] * 2)
    batches = [queue.take(0) for _ in range(4)]
    assert [len(batch.messages) for batch in batches] == [4, 4, 2, 0]
    assert [round(batch.clock_step) for batch in batches] == [0, -3600, 7200, 0]
    starts = [batch.arrivals.substitute_ts[0] - 1.8e9 for batch in batches[:3]]
    assert starts == pytest.approx([0.0, -3599.999, 3600.002], abs=1e-5)
    for batch in batches:
        assert all(earlier < later for earlier, later in pairwise(batch.arrivals.substitute_ts))


def test_clock_that_is_set_in_silence() -> None:
    """A step of the clock is reported, too, while no message comes; `wait` reports it as `take` does."""
    clock = [1.8e9]
    queue = ReceiveQueue(lambda: clock[0], lambda: 0.0)
    queue.take(0)
    clock[0] += 3e7
    assert queue.take(60).clock_step == 3e7, "at once"
    clock[0] -= 3e7
    queue.put([("t", b"", None, False)])
    batch = queue.wait(0)
    assert (batch.messages, batch.clock_step) == ([], -3e7)
    assert queue.take(0).clock_step == 0


def test_clock_that_goes_back_often() -> None:
    """Many small steps back don't leave the substitute timestamps ahead of the clock for long."""
    clock = [1.8e9]
    queue = ReceiveQueue(lambda: clock[0], lambda: 0.0)
    for _ in range(1000):
        clock[0] -= 4.0
        queue.put([("t", b"", None, False)])
        assert queue.take(0).arrivals.substitute_ts[0] <= clock[0] + 5.0


def test_messages_of_one_put_have_their_own_times() -> None:
    """Messages put at once have their own times and timestamps, however they are taken."""
    clock = [1.8e9]
    queue = ReceiveQueue(lambda: clock[0], lambda: clock[0] - 1.7e9)
    sizes = (1, 3000, 2, 3000, 3000, 1)
    for number, size in enumerate(sizes):
        clock[0] = 1.8e9 + number / 1000  # 3,000 timestamps span more
        queue.put([(f"{number}", b"", None, False)] * size)
    queue.put([])
    times: list[list[float]] = []
    topics: list[str] = []
    while (batch := queue.take(0)).messages:
        arrivals = batch.arrivals
        columns = (arrivals.arrived_at, arrivals.substitute_ts, arrivals.arrived_monotonic)
        times += np.array(columns).T.tolist()  # (message, 3)
        topics += [topic for topic, *_ in batch.messages]
    expected = [number for number, size in enumerate(sizes) for _ in range(size)]
    assert topics == [str(number) for number in expected]
    assert [wall for wall, _, _ in times] == [1.8e9 + number / 1000 for number in expected]
    assert [received for *_, received in times] == [1.8e9 + number / 1000 - 1.7e9 for number in expected]
    stamps = [stamp for _, stamp, _ in times]
    assert stamps[:2] == [1.8e9, 1.8e9 + 0.001]
    assert all(2.4e-7 < later - earlier < 0.002 for earlier, later in pairwise(stamps))
    assert all(0 <= stamp - wall < 0.02 for wall, stamp, _ in times)


def test_batches_are_bounded() -> None:
    """A batch has at most MAX_BATCH messages; the others stay for the next."""
    queue = _make_queue()
    for number in range(MAX_BATCH + 1):
        queue.put([(str(number), b"", number, False)])
    assert [topic for topic, *_ in queue.take(0).messages] == [str(n) for n in range(MAX_BATCH)]
    assert [topic for topic, *_ in queue.take(0).messages] == [str(MAX_BATCH)]


def test_large_payloads() -> None:
    """Large payloads fill queue and batch by their bytes."""
    queue = _make_queue()
    payload = bytes(MAX_BATCH_BYTES // 2)
    message_count = CAPACITY_BYTES // len(payload)
    for _ in range(message_count + 2):
        queue.put([("t", payload, None, False)])
    assert len(queue) == message_count
    sizes = []
    while batch := queue.take(0).messages:
        sizes.append([len(payload) for _, payload, _, _ in batch])
    assert sizes == [[len(payload)] * 2] * (message_count // 2)
    queue.put([("larger than all room", bytes(CAPACITY_BYTES + 1), None, False)])
    queue.put([("t", b"1", None, False)])
    assert [topic for topic, *_ in queue.take(0).messages] == ["larger than all room"]


def test_overflow() -> None:
    """Without room, messages without an ack token are dropped and counted once."""
    queue = _make_queue()
    for _ in range(CAPACITY + 3):
        queue.put([("t", b"", None, False)])
    assert len(queue) == CAPACITY
    assert queue.take(0).overflow_count == 3
    assert queue.take(0).overflow_count == 0
    queue.put([("t", b"", None, False)])
    assert len(queue) == CAPACITY + 1 - 2 * MAX_BATCH


def test_partial_overflow() -> None:
    """Of messages put at once those without room are dropped, and the others keep their times."""
    queue = _make_queue()
    queue.put([("t", b"", None, False)] * (CAPACITY - 2))
    queue.put([(str(number), b"", None, False) for number in range(5)])
    queue.close()
    queue.put([("too late", b"", "token", False)])
    assert queue.take(0).overflow_count == 3
    last: list[MessageBatch] = []
    while (batch := queue.take(0)).messages:
        last.append(batch)
    assert [topic for topic, *_ in last[-1].messages[-3:]] == ["t", "0", "1"]
    assert last[-1].arrivals.arrived_monotonic[-3:].tolist() == [7.0] * 3
    assert np.diff(last[-1].arrivals.substitute_ts).min() > 0


def test_message_with_ack_token_waits_for_space() -> None:
    """`put` waits with a message that has an ack token until there is room."""
    queue = _make_queue()
    for number in range(CAPACITY):
        queue.put([(str(number), b"", number, False)])
    sender = threading.Thread(target=queue.put, args=([("last", b"", "token", False)],))
    sender.start()
    seen: list[str] = []
    while "last" not in seen:
        seen += [topic for topic, *_ in queue.take(0).messages]
    sender.join()
    assert seen == [*map(str, range(CAPACITY)), "last"]


def test_close_releases_waiting_sender() -> None:
    """`close` ends the waiting in `put`, and no more messages are accepted."""
    queue = _make_queue()
    for number in range(CAPACITY):
        queue.put([(str(number), b"", number, False)])
    sender = threading.Thread(target=queue.put, args=([("last", b"", "token", False)],))
    sender.start()
    queue.close()
    sender.join()
    assert len(queue) == CAPACITY


def test_pause_ends_when_the_batch_is_processed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network thread pauses after a `put` until the pipeline has processed the messages."""
    monkeypatch.setattr("monitor.mqtt.receive_queue._PAUSE_S", 60.0)
    queue, steps = _make_queue(), []

    def work() -> None:
        while queue.take(60).messages:
            steps.append("worked")

    pipeline = threading.Thread(target=work)
    pipeline.start()
    for _ in range(50):
        queue.put([("t", b"", None, False)])
        queue.pause(_read_nothing)
        steps.append("paused")
    queue.wake()
    pipeline.join()
    assert steps == ["worked", "paused"] * 50


class _PausedNetworkThread:
    """A network thread that has put a message and pauses."""

    def __init__(self, queue: ReceiveQueue, payload_sizes: Sequence[int], *, may_repeat: bool) -> None:
        self._queue = queue
        self._payload_sizes = list(payload_sizes)
        self._may_repeat = may_repeat
        self.reading_threads: list[threading.Thread] = []
        """The threads that called `read`, in order."""
        queue.put([("t", b"", None, False)])
        self.thread = threading.Thread(target=queue.pause, args=[self.read], daemon=True)
        self.thread.start()
        wait_until(lambda: queue._read_once is not None, "it pauses")  # noqa: SLF001

    def read(self, timeout: float) -> bool:
        assert 0 <= timeout <= 60
        self.reading_threads.append(threading.current_thread())
        if self._payload_sizes:
            self._queue.put([("t", bytes(self._payload_sizes.pop(0)), None, False)])
        return self._may_repeat


def test_pipeline_reads_during_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the network thread pauses, a pipeline without messages reads in its place."""
    monkeypatch.setattr("monitor.mqtt.receive_queue._PAUSE_S", 60.0)
    queue = _make_queue()
    reader = _PausedNetworkThread(queue, [1, 1, 1], may_repeat=True)
    assert [len(queue.take(60).messages) for _ in range(4)] == [1] * 4
    assert reader.reading_threads == [threading.current_thread()] * 3, "and not while messages wait"
    assert reader.thread.is_alive()
    queue.close()
    reader.thread.join()


@pytest.mark.parametrize(("size", "may_repeat"), [(1, False), (1 << 17, True)])
def test_network_thread_resumes_reading(
    monkeypatch: pytest.MonkeyPatch, size: int, *, may_repeat: bool
) -> None:
    """The network thread resumes where it is needed, and where so much arrives that both have work."""
    monkeypatch.setattr("monitor.mqtt.receive_queue._PAUSE_S", 60.0)
    queue = _make_queue()
    reader = _PausedNetworkThread(queue, [size], may_repeat=may_repeat)
    assert [len(queue.take(60).messages) for _ in range(2)] == [1, 1]
    reader.thread.join()
    assert queue.take(0).messages == []
    assert len(reader.reading_threads) == 1, "the pipeline no longer reads in its place"


def test_pause_waits_for_the_reading_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads never read at a time: the pause lasts until the pipeline's read has returned."""
    monkeypatch.setattr("monitor.mqtt.receive_queue._PAUSE_S", 60.0)
    queue, steps = _make_queue(), []
    reading, done = threading.Event(), threading.Event()

    def read(_: float) -> bool:
        reading.set()
        done.wait()
        steps.append("read")
        return True

    def pause() -> None:
        queue.pause(read)
        steps.append("paused")

    queue.put([("t", b"", None, False)])
    network = threading.Thread(target=pause)
    network.start()
    wait_until(lambda: queue._read_once is not None, "it pauses")  # noqa: SLF001
    pipeline = threading.Thread(target=lambda: [queue.take(0) for _ in range(2)])
    pipeline.start()
    reading.wait()
    queue.close()
    wait_until(lambda: queue._read_once is None, "the pause is over")  # noqa: SLF001
    done.set()
    network.join()
    pipeline.join()
    assert steps == ["read", "paused"]


def test_no_pause_after_a_large_put(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a large `put` there is no pause, though the pipeline works."""
    monkeypatch.setattr("monitor.mqtt.receive_queue._PAUSE_S", 60.0)
    queue = _make_queue()
    queue.put([("t", bytes(1000), None, False)] * 200)
    reader = threading.Thread(target=queue.pause, args=[_read_nothing], daemon=True)
    reader.start()
    reader.join(30.0)
    assert not reader.is_alive()


@pytest.mark.parametrize(("queued", "pauses"), [(MAX_BATCH - 1, 0), (MAX_BATCH, 1)])
def test_pause_when_a_full_batch_waits(monkeypatch: pytest.MonkeyPatch, queued: int, pauses: int) -> None:
    """After a large `put` there is a pause once a full batch waits: more messages would overflow."""
    waits: list[float] = []
    monkeypatch.setattr(threading.Condition, "wait", lambda _, timeout: waits.append(timeout))
    queue = _make_queue()
    queue.put([("t", bytes(100), None, False)] * queued)
    queue.pause(_read_nothing)
    assert len(waits) == pauses


def test_wake() -> None:
    """`wake` makes the next `take` return at once without messages."""
    queue = _make_queue()
    queue.wake()
    assert queue.take(60).messages == []


def test_message_ends_take() -> None:
    """A message that arrives ends the wait in `take`."""
    queue = _make_queue()
    network = threading.Thread(target=queue.put, args=([("t", b"", None, False)],))
    network.start()
    assert [topic for topic, *_ in queue.take(60).messages] == ["t"]
    network.join()


def test_excess() -> None:
    """Messages in excess are apart from those to read, and acknowledged in the order of arrival."""
    queue = _make_queue()
    messages = [
        ("a", b"1", 1, 0),
        ("flood", b"", 2, EXCESS_FLAG),
        ("b", b"2", 3, DUP_FLAG),
        ("flood", b"", 4, EXCESS_FLAG | DUP_FLAG),
        ("c", b"", 5, 0),
    ]
    queue.put(messages)
    batch = queue.take(0)
    assert batch.messages == [messages[0], messages[2], messages[4]]
    assert batch.excess == ["flood", "flood"]
    assert list(batch.to_acknowledge) == messages
    times = batch.arrivals.substitute_ts.tolist()
    assert len(times) == len(batch.arrivals.arrived_at) == len(batch.arrivals.arrived_monotonic) == 3
    assert times == sorted(times)
    queue.put(messages[:1])
    assert queue.take(0).to_acknowledge == queue.take(0).messages + messages[:1]


@pytest.mark.parametrize("messages", [[("a", b"1", None, 0)] * 2_000, [("a", bytes(1 << 20), None, 0)]])
def test_is_behind(messages: list[InboundMessage]) -> None:
    """The pipeline is behind for a second after a batch of a thousand messages, or of half a megabyte."""
    clock = [1.8e9]
    queue = ReceiveQueue(lambda: clock[0], lambda: clock[0])
    queue.put([("a", b"1", None, 0)] * 100)
    queue.take(0)
    assert not queue.is_behind
    queue.put(messages)
    queue.take(0)
    queue.put([("a", b"1", None, 0)])
    queue.take(0)
    assert queue.is_behind
    clock[0] += 1.5
    assert not queue.is_behind
