"""Messages with QoS 1 go out as paho would send them, in their order, and again until they arrived."""

import threading
from itertools import count, pairwise
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from monitor.core.messages import JSON, TEXT, About
from monitor.mqtt.properties import of_message
from monitor.mqtt.publish_queue import Sending
from tests.conftest import PATIENCE, Mosquitto, wait_until
from tests.monitor.mqtt.recording_listener import Ear, ready, scripted_broker, session
from tests.support.processes import Proxy, client

V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
PUBLISH_AT_QOS_1, DISCONNECT = 0x32, 0xE0


class Line:
    """A connection that keeps what is sent on it."""

    def __init__(self, sending: Sending, first: int = 1, at_once: int = 10) -> None:
        self.packets: list[bytes] = []
        sending.connected(self.packets.append, count(first).__next__, at_once=at_once, properties=False)

    def texts(self) -> list[bytes]:
        """Return the payloads, behind the topic `t`: each is one byte."""
        return [packet[-1:] for packet in self.packets]

    def identifiers(self) -> list[int]:
        return [int.from_bytes(packet[5:7]) for packet in self.packets]

    def repeated(self) -> list[bool]:
        return [packet[0] & 8 != 0 for packet in self.packets]


def _sending() -> tuple[Sending, list[int]]:
    delivered: list[int] = []
    return Sending(20, delivered.append, lambda topic, reason: pytest.fail(f"{topic}: {reason}")), delivered


def _publish(sending: Sending, *texts: bytes) -> list[int | None]:
    return [sending.publish("t", text, None, retain=False) for text in texts]


def test_one_waits_for_another() -> None:
    """No more are on the line at once than may be; with each confirmation the next one follows."""
    sending, delivered = _sending()
    line = Line(sending, at_once=2)
    numbers = _publish(sending, b"a", b"b", b"c", b"d")
    assert line.texts() == [b"a", b"b"]
    assert sending.confirmed(2, 0)
    assert sending.confirmed(1, 0)
    assert line.texts() == [b"a", b"b", b"c", b"d"]
    assert delivered == [numbers[1], numbers[0]]
    assert line.repeated() == [False] * 4


def test_what_the_broker_refuses() -> None:
    """A message that the broker refuses isn't sent again, and is told as such: each one."""
    delivered: list[int] = []
    refused: list[tuple[str, int]] = []
    sending = Sending(20, delivered.append, lambda topic, reason: refused.append((topic, reason)))
    line = Line(sending)
    numbers = _publish(sending, b"a", b"b", b"c")
    assert all(sending.confirmed(*told) for told in ((1, 0x87), (2, 0x87), (3, 0x10)))
    assert delivered == numbers
    assert refused == [("t", 0x87), ("t", 0x87)]
    assert len(line.packets) == 3


def test_topics_that_cannot_be() -> None:
    """What no packet can say is refused at once, and nothing of it stays."""
    sending, _ = _sending()
    line = Line(sending)
    for topic in ("a/+", "#", "a\0b", "x" * 65_536):
        with pytest.raises(ValueError, match="nothing can be published"):
            sending.publish(topic, b"", None, retain=False)
    _publish(sending, b"a")
    assert line.texts() == [b"a"]


def test_finish() -> None:
    """Before the farewell all is confirmed, if it can be; nothing is sent after it."""
    sending, _ = _sending()
    line = Line(sending, at_once=1)
    _publish(sending, b"a", b"b")
    ended = threading.Thread(target=sending.finish, args=(PATIENCE,))
    ended.start()
    assert sending.confirmed(1, 0)
    assert sending.confirmed(2, 0)
    ended.join(PATIENCE)
    assert not ended.is_alive()
    _publish(sending, b"c")
    assert line.texts() == [b"a", b"b"]


def test_confirmations_of_others() -> None:
    """A packet that isn't one of these is somebody else's, as is one that was confirmed before."""
    sending, delivered = _sending()
    Line(sending)
    _publish(sending, b"a")
    assert [sending.confirmed(identifier, 0) for identifier in (7, 1, 1)] == [False, True, False]
    assert len(delivered) == 1


def test_after_a_break() -> None:
    """What isn't confirmed goes out again as the same packets, marked, before all others."""
    sending, delivered = _sending()
    first = Line(sending, at_once=4)
    numbers = _publish(sending, b"a", b"b", b"c", b"d")
    assert sending.confirmed(2, 0)
    sending.disconnected()
    numbers += _publish(sending, b"e")
    assert not sending.confirmed(9, 0)
    second = Line(sending, first=40)
    assert first.texts() == [b"a", b"b", b"c", b"d"]
    assert (second.texts(), second.identifiers()) == ([b"a", b"c", b"d", b"e"], [1, 3, 4, 40])
    assert second.repeated() == [True, True, True, False]
    assert all(sending.confirmed(identifier, 0) for identifier in (1, 3, 4, 40))
    assert sorted(delivered) == numbers


def test_no_two_packets_alike() -> None:
    """An identifier that stands for a packet on the line is given to no other."""
    sending, _ = _sending()
    line = Line(sending)
    _publish(sending, b"a", b"b")
    sending.connected(line.packets.append, count(1).__next__, at_once=10, properties=False)
    _publish(sending, b"c")
    assert line.identifiers() == [1, 2, 1, 2, 3]


def test_room_has_an_end() -> None:
    """Beyond so many nothing is taken, until one is confirmed."""
    sending, _ = _sending()
    Line(sending)
    assert all(a < b for a, b in pairwise(_publish(sending, *[b"x"] * 20)))  # type: ignore[operator]
    assert _publish(sending, b"y") == [None]
    assert sending.confirmed(1, 0)
    assert _publish(sending, b"z") != [None]


@pytest.mark.parametrize(
    ("version", "connack", "most"),
    [
        ("5", b"\x20\x06\x00\x00\x03\x21\x00\x06", 5),
        ("5", b"\x20\x06\x00\x00\x03\x21\x00\x01", 1),
        ("5", b"\x20\x03\x00\x00\x00", 200),
        ("3.1.1", b"\x20\x02\x00\x00", 10),
    ],
)
def test_as_many_as_the_broker_takes(version: str, connack: bytes, most: int) -> None:
    """So many messages go out unconfirmed as the broker says that it takes, but for one, and no more."""
    packets: list[int] = []

    def hear(packet: bytes) -> bytes:
        packets.append(packet[0])
        return b""

    answers = [lambda _: connack, *[hear] * (most + 1)]
    with scripted_broker(*answers) as port:
        with session(port, Ear(), version=version) as own:
            ready(own)
            for _ in range(300):
                own.publish("out", b"")
            wait_until(lambda: len(packets) >= most, "as many as may be go out")
        wait_until(lambda: len(packets) > most, "the session ends")
    assert packets == [PUBLISH_AT_QOS_1] * most + [DISCONNECT]


@pytest.mark.parametrize("protocol", [V5, V311])
@pytest.mark.parametrize("size", [0, 100, 200, 20_000, 3_000_000])
@pytest.mark.parametrize("about", [None, JSON, About(TEXT.content_type, 60, (("schema", "1"),), b"x" * 200)])
def test_as_paho_does(protocol: MQTTProtocolVersion, size: int, about: About | None) -> None:
    """A packet is what paho makes of the same message, byte for byte."""
    theirs: list[bytes] = []

    class Plain(paho.Client):
        def _packet_queue(self, command: int, packet: Any, *_: Any) -> Any:  # noqa: ARG002, paho's
            theirs.append(bytes(packet))
            return paho.MQTT_ERR_SUCCESS

    plain = Plain(CallbackAPIVersion.VERSION2, protocol=protocol)
    plain._sock = object()  # type: ignore[assignment] # noqa: SLF001, it only asks whether there is one
    properties = of_message(about) if about and protocol == V5 else None
    plain.publish("a/ä", b"x" * size, 1, retain=True, properties=properties)
    plain._sock = None  # noqa: SLF001
    ours: list[bytes] = []
    sending, _ = _sending()
    sending.connected(ours.append, count(1).__next__, at_once=1, properties=protocol == V5)
    sending.publish("a/ä", b"x" * size, about, retain=True)
    assert ours == theirs


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_connection_that_breaks(mosquitto: Mosquitto, version: str) -> None:
    """What was published before a break and during it arrives after it, and is told once."""
    proxy = Proxy(mosquitto.port)
    texts = [str(number) for number in range(100)]
    with client(mosquitto.port, "out") as other, session(proxy.port, Ear(), version=version) as own:
        ready(own)
        proxy.stall()
        numbers = [own.publish("out", text.encode()) for text in texts[:50]]
        proxy.cut()
        proxy.flow()
        wait_until(lambda: not own.ready, "the break is seen")
        numbers += [own.publish("out", text.encode()) for text in texts[50:]]
        told: list[int] = []
        wait_until(lambda: told.extend(own.delivered()) or len(told) >= len(texts), "all arrive")
        assert told == numbers
        wait_until(lambda: other.texts("out")[-1:] == texts[-1:], "all come")
        assert list(dict.fromkeys(other.texts("out"))) == texts
    proxy.close()
