import threading
from itertools import pairwise

import pytest

from monitor.inbox import CAPACITY, CAPACITY_BYTES, LARGEST_BATCH, LARGEST_BATCH_BYTES, Inbox


def _inbox(wall: float = 100.0, monotonic: float = 7.0) -> Inbox:
    return Inbox(lambda: wall, lambda: monotonic)


def test_all_that_waits() -> None:
    """Taking returns all that waits in the order of arrival, with both clocks, and only once."""
    inbox = _inbox()
    inbox.put([("a", b"1", None, False)])
    inbox.put([("b", b"2", "receipt", False)])
    assert len(inbox) == 2
    first, second = inbox.take(0).messages
    assert (first.topic, first.payload, first.receipt) == ("a", b"1", None)
    assert (second.topic, second.payload, second.receipt) == ("b", b"2", "receipt")
    assert (first.arrived_at, first.received) == (100.0, 7.0)
    assert len(inbox) == 0
    assert inbox.take(0).messages == []


def test_stamps_increase() -> None:
    """Stamps strictly increase, also where the clock stands still or is set back; arrival times follow it."""
    clock = [1.8e9]
    inbox = Inbox(lambda: clock[0], lambda: 0.0)
    for step in (0.0, 0.0, 0.001, -3600.0, 0.0, 7200.0):
        clock[0] += step
        inbox.put([("t", b"", None, False)])
    messages = inbox.take(0).messages
    times = [message.stamp for message in messages]
    assert all(earlier < later for earlier, later in pairwise(times))
    assert (times[0], times[2], times[-1]) == (1.8e9, 1.8e9 + 0.001, clock[0])
    assert messages[3].arrived_at == 1.8e9 + 0.001 - 3600


def test_batches_are_bounded() -> None:
    """One batch holds at most so many messages; the others stay for the next."""
    inbox = _inbox()
    for number in range(LARGEST_BATCH + 1):
        inbox.put([(str(number), b"", number, False)])
    assert [message.topic for message in inbox.take(0).messages] == [str(n) for n in range(LARGEST_BATCH)]
    assert [message.topic for message in inbox.take(0).messages] == [str(LARGEST_BATCH)]


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
        sizes.append([len(message.payload) for message in taken])
    assert sizes == [[len(payload)] * 2] * (room // 2)
    inbox.put([("larger than all room", bytes(CAPACITY_BYTES + 1), None, False)])
    inbox.put([("t", b"1", None, False)])
    assert [message.topic for message in inbox.take(0).messages] == ["larger than all room"]


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


def test_message_that_must_not_be_lost_waits() -> None:
    """A message with a receipt finds room as soon as there is some: its sender waits meanwhile."""
    inbox = _inbox()
    for number in range(CAPACITY):
        inbox.put([(str(number), b"", number, False)])
    sender = threading.Thread(target=inbox.put, args=([("last", b"", "receipt", False)],))
    sender.start()
    seen: list[str] = []
    while "last" not in seen:
        seen += [message.topic for message in inbox.take(0).messages]
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
    monkeypatch.setattr("monitor.inbox._BREATH", 60.0)
    inbox, told = _inbox(), []

    def work() -> None:
        while inbox.take(60).messages:
            told.append("worked")

    pipeline = threading.Thread(target=work)
    pipeline.start()
    for _ in range(50):
        inbox.put([("t", b"", None, False)])
        inbox.breathe()
        told.append("breathed")
    inbox.nudge()
    pipeline.join()
    assert told == ["worked", "breathed"] * 50


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
    assert [message.topic for message in inbox.take(60).messages] == ["t"]
    network.join()
