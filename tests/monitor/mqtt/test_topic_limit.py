"""The limit of a topic: who loses messages, who never does, and when."""

import pytest

from monitor.core.messages import EXCESS_FLAG
from monitor.mqtt.packet_parser import PublishPacket
from monitor.mqtt.topic_limit import TopicLimit

_MIB = 1 << 20
_RECV_BYTES = 1 << 18
_READING_BYTES = 100
_LONG_TOPIC = 1_001
"""Characters that the parser leaves of a topic that is too long to be read."""


class _Stream:
    """Messages that arrive in pieces as the socket gives them."""

    def __init__(self, *, is_behind: bool = True, has_one_topic: bool = False) -> None:
        self.now = 0.0
        self.is_behind = is_behind
        self.limit = TopicLimit(lambda: self.is_behind, lambda topic: topic == "gateway", lambda: self.now)
        self.dropped: list[str] = []
        if not has_one_topic:
            self.send([("station0", b"1", 1, 0), ("station1", b"1", 2, 0)])

    def send(self, packets: list[PublishPacket]) -> int:
        """Receive messages; return how many of them lost their payload."""
        before, piece, size = len(self.dropped), [], 0
        for packet in packets:
            piece.append(packet)
            size += len(packet[1]) if len(packet[0]) < _LONG_TOPIC else 60_000
            if size >= _RECV_BYTES:
                self._apply(piece, size)
                piece, size = [], 0
        self._apply(piece, size)
        return len(self.dropped) - before

    def _apply(self, packets: list[PublishPacket], size: int) -> None:
        limited = self.limit.apply(packets, size, may_be_large=True)
        assert [packet[0] for packet in limited] == [packet[0] for packet in packets]
        assert [packet[2] for packet in limited] == [packet[2] for packet in packets]
        for topic, payload, _, flags in limited:
            assert bool(flags & EXCESS_FLAG) == (not payload)
            self.dropped += [topic] if flags & EXCESS_FLAG else []


def _messages(topic: str, count: int, size: int = _READING_BYTES) -> list[PublishPacket]:
    return [(topic, bytes(size), number % 65_535 + 1, 0) for number in range(count)]


def test_flood_of_large_messages() -> None:
    """Of a flood of large messages the first few pass."""
    assert _Stream().send(_messages("flood", 100, _MIB)) >= 90


def test_flood_of_readings() -> None:
    """Of a flood of small messages 20,000 pass at most."""
    assert _Stream().send(_messages("flood", 100_000)) >= 80_000


def test_others_pass() -> None:
    """While one topic floods, the readings of all others pass."""
    stream = _Stream()
    for _ in range(100):
        stream.send(_messages("flood", 2_000))
        stream.send([(f"station{number}", bytes(_READING_BYTES), 1, 0) for number in range(200)])
        stream.now += 1.0
    assert set(stream.dropped) == {"flood"}


def test_several_floods() -> None:
    """Each of several topics that flood is limited."""
    stream = _Stream()
    for _ in range(100):
        for number in range(10):
            stream.send(_messages(f"flood{number}", 10, _MIB // 10))
    assert len(set(stream.dropped)) == 10
    assert len(stream.dropped) >= 8_500


def test_stored_readings_of_a_plant() -> None:
    """After an outage 200 stations may deliver twelve hours of readings each, in arrays, all at once."""
    array_bytes = 12 * 720 * _READING_BYTES // 12
    stream = _Stream()
    for _ in range(12):
        stream.send([(f"station{number}", bytes(array_bytes), 1, 0) for number in range(200)])
    assert not stream.dropped


def test_stored_readings_one_by_one() -> None:
    """After an outage 200 stations may deliver five hours of readings each, one by one, all at once."""
    stream = _Stream()
    for _ in range(5 * 720):
        stream.send([(f"station{number}", bytes(_READING_BYTES), 1, 0) for number in range(200)])
    assert not stream.dropped


def test_stored_readings_of_one_station() -> None:
    """One station may deliver 40 hours in arrays at once."""
    assert not _Stream().send(_messages("station", 40, 720 * _READING_BYTES))


def test_vibration_sensor() -> None:
    """A station that sends 1,000 readings a second loses none, however long."""
    stream = _Stream()
    for _ in range(1_000):
        stream.send(_messages("station", 1_000))
        stream.now += 1.0
    assert not stream.dropped


def test_pipeline_that_keeps_up() -> None:
    """A pipeline that isn't behind gets everything."""
    assert not _Stream(is_behind=False).send(_messages("station", 100, _MIB))


def test_backlog() -> None:
    """What the broker had kept is taken, as much as the shipped one keeps: 100,000 messages and 64 MiB."""
    stream = _Stream()
    stream.limit.expect_backlog()
    for _ in range(20):
        assert not stream.send(_messages("station0", 5_000, 200))
        assert not stream.send(_messages("station1", 3, _MIB))
        assert stream.limit.admits("station1", _MIB)
        stream.now += 0.5


@pytest.mark.parametrize("topic", ["flood", "gateway"])
def test_flood_in_a_backlog(topic: str) -> None:
    """A flood that comes with what the broker had kept is limited once the largest backlog would be over."""
    stream = _Stream()
    stream.limit.expect_backlog()
    assert stream.send(_messages(topic, 400, _MIB)) >= 240


def test_caught_up() -> None:
    """Once the pipeline has caught up, a flood is limited as before."""
    stream = _Stream(is_behind=False)
    stream.limit.expect_backlog()
    stream.now += 0.5
    stream.send(_messages("station0", 1))
    stream.is_behind = True
    assert not stream.send(_messages("station0", 10, _MIB))
    stream.is_behind = False
    stream.now += 1.0
    stream.send(_messages("station0", 1))
    stream.is_behind = True
    assert stream.send(_messages("flood", 100, _MIB)) >= 90


def test_single_topic() -> None:
    """A plant with one topic loses nothing: nobody waits for it. With a second topic it has limits."""
    stream = _Stream(has_one_topic=True)
    assert not stream.send(_messages("station", 200, _MIB))
    assert not stream.send([("other", b"1", 1, 0)])
    assert stream.send(_messages("station", 200, _MIB))


def test_gateway() -> None:
    """500 groups may each bring 4 readings a second on one topic, however long."""
    stream = _Stream()
    for _ in range(60):
        stream.send(_messages("gateway", 4 * 500))
        stream.now += 1.0
    assert not stream.dropped


def test_flood_of_a_gateway() -> None:
    """A flood on a topic of many groups is limited, too."""
    stream = _Stream()
    assert stream.send(_messages("gateway", 100, _MIB)) >= 90
    assert not stream.limit.admits("gateway", _MIB)


def test_after_the_flood() -> None:
    """A topic whose flood has ended is read again a few seconds later."""
    stream = _Stream()
    assert stream.send(_messages("station", 100, _MIB))
    stream.now += 5.0
    assert not stream.send(_messages("station", 100))


def test_large_message_that_begins_to_arrive() -> None:
    """Whether a message is read is known with its topic, so that its payload needs no memory."""
    stream = _Stream()
    assert stream.limit.admits("flood", _MIB)
    stream.send(_messages("flood", 100, _MIB))
    assert not stream.limit.admits("flood", _MIB)
    assert stream.limit.admits("station", _MIB)
    stream.is_behind = False
    assert stream.limit.admits("flood", _MIB)


def test_long_topics() -> None:
    """Topics that are too long to be read share one limit, of which each takes its whole length."""
    stream = _Stream()
    packets = [(f"{number:04}{'x' * 997}", b"1", 1, 0) for number in range(1_000)]
    for packet in packets:
        stream.send([packet])
    assert len(stream.dropped) >= 900
    assert not stream.send(_messages("station", 10))
