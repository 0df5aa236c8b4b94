import threading
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from monitor.core.messages import Taken
from monitor.mqtt.receive_queue import CAPACITY, CAPACITY_BYTES, LARGEST_BATCH, LARGEST_BATCH_BYTES, Inbox
from tests.conftest import wait_until


def _nothing(_: float) -> bool:
    return False


def _inbox(wall: float = 100.0, monotonic: float = 7.0) -> Inbox:
    return Inbox(lambda: wall, lambda: monotonic)


def test_all_that_waits() -> None:
    """Taking returns all that waits in the order of arrival, with both clocks, and only once."""
    inbox = _inbox()
    inbox.put([("a", b"1", None, False)])
    inbox.put([("b", b"2", "receipt", False)])
    assert len(inbox) == 2
    taken = inbox.take(0)
    assert taken.messages == [("a", b"1", None, False), ("b", b"2", "receipt", False)]
    arrivals = taken.arrivals
    assert (arrivals.arrived_at.tolist(), arrivals.received.tolist()) == ([100.0] * 2, [7.0] * 2)
    assert len(inbox) == 0
    assert inbox.take(0).messages == []


def test_stamps_increase() -> None:
    """Stamps strictly increase, also where the clock stands still or is set back; arrival times follow it."""
    clock = [1.8e9]
    inbox = Inbox(lambda: clock[0], lambda: 0.0)
    for step in (0.0, 0.0, 0.001, -3600.0, 0.0, 7200.0):
        clock[0] += step
        inbox.put([("t", b"", None, False)])
    arrivals = inbox.take(0).arrivals
    times = arrivals.stamps.tolist()
    assert all(earlier < later for earlier, later in pairwise(times))
    assert (times[0], times[2], times[-1]) == (1.8e9, 1.8e9 + 0.001, clock[0])
    assert arrivals.arrived_at[3] == 1.8e9 + 0.001 - 3600


def test_many_at_once() -> None:
    """Of messages put at once each has its time and its stamp, however they are taken."""
    clock = [1.8e9]
    inbox = Inbox(lambda: clock[0], lambda: clock[0] - 1.7e9)
    sizes = (1, 3000, 2, 3000, 3000, 1)
    for number, size in enumerate(sizes):
        clock[0] = 1.8e9 + number / 1000  # 3,000 stamps take longer
        inbox.put([(f"{number}", b"", None, False)] * size)
    inbox.put([])
    times: list[list[float]] = []
    topics: list[str] = []
    while (taken := inbox.take(0)).messages:
        arrivals = taken.arrivals
        columns = (arrivals.arrived_at, arrivals.stamps, arrivals.received)
        times += np.array(columns).T.tolist()  # (message, each of its times)
        topics += [topic for topic, *_ in taken.messages]
    expected = [number for number, size in enumerate(sizes) for _ in range(size)]
    assert topics == [str(number) for number in expected]
    assert [wall for wall, _, _ in times] == [1.8e9 + number / 1000 for number in expected]
    assert [received for *_, received in times] == [1.8e9 + number / 1000 - 1.7e9 for number in expected]
    stamps = [stamp for _, stamp, _ in times]
    assert stamps[:2] == [1.8e9, 1.8e9 + 0.001]
    assert all(2.4e-7 < later - earlier < 0.002 for earlier, later in pairwise(stamps))
    assert all(0 <= stamp - wall < 0.02 for wall, stamp, _ in times)


def test_batches_are_bounded() -> None:
    """One batch holds at most so many messages; the others stay for the next."""
    inbox = _inbox()
    for number in range(LARGEST_BATCH + 1):
        inbox.put([(str(number), b"", number, False)])
    assert [topic for topic, *_ in inbox.take(0).messages] == [str(n) for n in range(LARGEST_BATCH)]
    assert [topic for topic, *_ in inbox.take(0).messages] == [str(LARGEST_BATCH)]


def test_large_payloads() -> None:
    """Large payloads fill inbox and batch by their bytes."""
    inbox = _inbox()
    payload = bytes(LARGEST_BATCH_BYTES // 2)
    room = CAPACITY_BYTES // len(payload)
    for _ in range(room + 2):
        inbox.put([("t", payload, None, False)])
    assert len(inbox) == room
    sizes = []
    while taken := inbox.take(0).messages:
        sizes.append([len(payload) for _, payload, _, _ in taken])
    assert sizes == [[len(payload)] * 2] * (room // 2)
    inbox.put([("larger than all room", bytes(CAPACITY_BYTES + 1), None, False)])
    inbox.put([("t", b"1", None, False)])
    assert [topic for topic, *_ in inbox.take(0).messages] == ["larger than all room"]


def test_overflow() -> None:
    """With no room left, messages without a receipt are dropped and counted once."""
    inbox = _inbox()
    for _ in range(CAPACITY + 3):
        inbox.put([("t", b"", None, False)])
    assert len(inbox) == CAPACITY
    assert inbox.take(0).overflowed == 3
    assert inbox.take(0).overflowed == 0
    inbox.put([("t", b"", None, False)])
    assert len(inbox) == CAPACITY + 1 - 2 * LARGEST_BATCH


def test_some_find_room() -> None:
    """Of messages put at once those that find no room are dropped, and the others have their times."""
    inbox = _inbox()
    inbox.put([("t", b"", None, False)] * (CAPACITY - 2))
    inbox.put([(str(number), b"", None, False) for number in range(5)])
    inbox.close()
    inbox.put([("too late", b"", "receipt", False)])
    assert inbox.take(0).overflowed == 3
    last: list[Taken] = []
    while (taken := inbox.take(0)).messages:
        last.append(taken)
    assert [topic for topic, *_ in last[-1].messages[-3:]] == ["t", "0", "1"]
    assert last[-1].arrivals.received[-3:].tolist() == [7.0] * 3
    assert np.diff(last[-1].arrivals.stamps).min() > 0


def test_message_that_must_not_be_lost_waits() -> None:
    """A message with a receipt finds room as soon as there is some: its sender waits meanwhile."""
    inbox = _inbox()
    for number in range(CAPACITY):
        inbox.put([(str(number), b"", number, False)])
    sender = threading.Thread(target=inbox.put, args=([("last", b"", "receipt", False)],))
    sender.start()
    seen: list[str] = []
    while "last" not in seen:
        seen += [topic for topic, *_ in inbox.take(0).messages]
    sender.join()
    assert seen == [*map(str, range(CAPACITY)), "last"]


def test_closed() -> None:
    """An inbox that is closed lets go who waits for room, and takes no more."""
    inbox = _inbox()
    for number in range(CAPACITY):
        inbox.put([(str(number), b"", number, False)])
    sender = threading.Thread(target=inbox.put, args=([("last", b"", "receipt", False)],))
    sender.start()
    inbox.close()
    sender.join()
    assert len(inbox) == CAPACITY


def test_breath(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has put something leaves the pipeline alone until that is dealt with."""
    monkeypatch.setattr("monitor.mqtt.receive_queue._BREATH", 60.0)
    inbox, told = _inbox(), []

    def work() -> None:
        while inbox.take(60).messages:
            told.append("worked")

    pipeline = threading.Thread(target=work)
    pipeline.start()
    for _ in range(50):
        inbox.put([("t", b"", None, False)])
        inbox.breathe(_nothing)
        told.append("breathed")
    inbox.nudge()
    pipeline.join()
    assert told == ["worked", "breathed"] * 50


class _Reader:
    """A network thread that has put a message and breathes."""

    def __init__(self, inbox: Inbox, brings: Sequence[int], *, again: bool) -> None:
        self._inbox = inbox
        self._brings = list(brings)
        self._again = again
        self.threads: list[threading.Thread] = []
        """Those that read."""
        inbox.put([("t", b"", None, False)])
        self.thread = threading.Thread(target=inbox.breathe, args=[self.read], daemon=True)
        self.thread.start()
        wait_until(lambda: inbox._lent is not None, "it breathes")  # noqa: SLF001

    def read(self, timeout: float) -> bool:
        assert 0 <= timeout <= 60
        self.threads.append(threading.current_thread())
        if self._brings:
            self._inbox.put([("t", bytes(self._brings.pop(0)), None, False)])
        return self._again


def test_pipeline_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the network thread breathes, a pipeline that has nothing left reads in its place."""
    monkeypatch.setattr("monitor.mqtt.receive_queue._BREATH", 60.0)
    inbox = _inbox()
    reader = _Reader(inbox, [1, 1, 1], again=True)
    assert [len(inbox.take(60).messages) for _ in range(4)] == [1] * 4
    assert reader.threads == [threading.current_thread()] * 3, "not while something waits"
    assert reader.thread.is_alive()
    inbox.close()
    reader.thread.join()


@pytest.mark.parametrize(("size", "again"), [(1, False), (1 << 17, True)])
def test_pipeline_reads_no_more(monkeypatch: pytest.MonkeyPatch, size: int, *, again: bool) -> None:
    """The network thread goes on where it is needed, and where so much comes that both have work."""
    monkeypatch.setattr("monitor.mqtt.receive_queue._BREATH", 60.0)
    inbox = _inbox()
    reader = _Reader(inbox, [size], again=again)
    assert [len(inbox.take(60).messages) for _ in range(2)] == [1, 1]
    reader.thread.join()
    assert inbox.take(0).messages == []
    assert len(reader.threads) == 1, "its place is its own again"


def test_breath_ends_while_the_pipeline_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two never read at a time: who has breathed waits until the other one is done."""
    monkeypatch.setattr("monitor.mqtt.receive_queue._BREATH", 60.0)
    inbox, told = _inbox(), []
    reading, done = threading.Event(), threading.Event()

    def read(_: float) -> bool:
        reading.set()
        done.wait()
        told.append("read")
        return True

    def breathe() -> None:
        inbox.breathe(read)
        told.append("breathed")

    inbox.put([("t", b"", None, False)])
    network = threading.Thread(target=breathe)
    network.start()
    wait_until(lambda: inbox._lent is not None, "it breathes")  # noqa: SLF001
    pipeline = threading.Thread(target=lambda: [inbox.take(0) for _ in range(2)])
    pipeline.start()
    reading.wait()
    inbox.close()
    wait_until(lambda: inbox._lent is None, "it has breathed")  # noqa: SLF001
    done.set()
    network.join()
    pipeline.join()
    assert told == ["read", "breathed"]


def test_large_put_is_no_reason_to_breathe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has put much reads on, though the pipeline is at work."""
    monkeypatch.setattr("monitor.mqtt.receive_queue._BREATH", 60.0)
    inbox = _inbox()
    inbox.put([("t", bytes(1000), None, False)] * 200)
    reader = threading.Thread(target=inbox.breathe, args=[_nothing], daemon=True)
    reader.start()
    reader.join(30.0)
    assert not reader.is_alive()


@pytest.mark.parametrize(("waiting", "breaths"), [(LARGEST_BATCH - 1, 0), (LARGEST_BATCH, 1)])
def test_full_batch_is_reason_to_breathe(monkeypatch: pytest.MonkeyPatch, waiting: int, breaths: int) -> None:
    """Who has put much reads on only until a full batch waits: more would overflow for nothing."""
    taken: list[float] = []
    monkeypatch.setattr(threading.Condition, "wait", lambda _, timeout: taken.append(timeout))
    inbox = _inbox()
    inbox.put([("t", bytes(100), None, False)] * waiting)
    inbox.breathe(_nothing)
    assert len(taken) == breaths


def test_nudge() -> None:
    """A nudge makes the next take return at once with nothing."""
    inbox = _inbox()
    inbox.nudge()
    assert inbox.take(60).messages == []


def test_message_wakes_the_waiting() -> None:
    """A message that arrives ends the wait for it."""
    inbox = _inbox()
    network = threading.Thread(target=inbox.put, args=([("t", b"", None, False)],))
    network.start()
    assert [topic for topic, *_ in inbox.take(60).messages] == ["t"]
    network.join()
