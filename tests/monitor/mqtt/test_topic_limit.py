"""The limit of a topic: who loses messages, who never does, and when."""

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

    def __init__(self, *, is_behind: bool = True) -> None:
        self.now = 0.0
        self.is_behind = is_behind
        self.limit = TopicLimit(lambda: self.is_behind, lambda: self.now)
        self.dropped: list[str] = []

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


def test_a_thousand_times_the_pace() -> None:
    """A station that sends 200 readings a second loses none, however long."""
    stream = _Stream()
    for _ in range(1_000):
        stream.send(_messages("station", 200))
        stream.now += 1.0
    assert not stream.dropped


def test_pipeline_that_keeps_up() -> None:
    """A pipeline that isn't behind gets everything."""
    assert not _Stream(is_behind=False).send(_messages("station", 100, _MIB))


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
