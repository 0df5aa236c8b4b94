"""QoS 1 messages are sent as paho would send them, in order, and again until they are confirmed."""

import threading
from itertools import count, pairwise
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from monitor.core.messages import JSON_PROPERTIES, TEXT_PROPERTIES, MessageProperties
from monitor.mqtt.broker_limits import BrokerLimits
from monitor.mqtt.properties import publish_properties
from monitor.mqtt.publish_queue import PublishQueue
from tests.conftest import TIMEOUT_S, Mosquitto, wait_until
from tests.monitor.mqtt.recording_listener import (
    RecordingListener,
    scripted_broker,
    session,
    wait_until_ready,
)
from tests.support.processes import Proxy, connect_client

V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
PUBLISH_QOS_1, DISCONNECT = 0x32, 0xE0


class RecordingConnection:
    """A connection that records the packets sent on it."""

    def __init__(
        self, publish_queue: PublishQueue, first_packet_id: int = 1, max_in_flight: int = 10
    ) -> None:
        self.packets: list[bytes] = []
        publish_queue.on_connected(
            self.packets.append,
            count(first_packet_id).__next__,
            BrokerLimits(max_in_flight=max_in_flight),
            has_properties=False,
        )

    def payloads(self) -> list[bytes]:
        """Return the payloads, one byte each; the topic is `t`."""
        return [packet[-1:] for packet in self.packets]

    def packet_ids(self) -> list[int]:
        return [int.from_bytes(packet[5:7]) for packet in self.packets]

    def dup_flags(self) -> list[bool]:
        return [packet[0] & 8 != 0 for packet in self.packets]


def _fail_if_called(message_id: int, topic: str, reason: object) -> None:
    pytest.fail(f"{message_id} {topic}: {reason}")


def _make_queue() -> tuple[PublishQueue, list[int]]:
    delivered: list[int] = []
    return PublishQueue(20, delivered.append, _fail_if_called, _fail_if_called), delivered


def _publish(publish_queue: PublishQueue, *payloads: bytes) -> list[int | None]:
    return [publish_queue.publish("t", text, None, retain=False) for text in payloads]


def test_in_flight_limit() -> None:
    """No more than `max_in_flight` messages are unconfirmed; each confirmation lets the next one follow."""
    publish_queue, delivered = _make_queue()
    connection = RecordingConnection(publish_queue, max_in_flight=2)
    message_ids = _publish(publish_queue, b"a", b"b", b"c", b"d")
    assert connection.payloads() == [b"a", b"b"]
    assert publish_queue.on_puback(2, 0)
    assert publish_queue.on_puback(1, 0)
    assert connection.payloads() == [b"a", b"b", b"c", b"d"]
    assert delivered == [message_ids[1], message_ids[0]]
    assert connection.dup_flags() == [False] * 4


def test_refused_message_is_not_resent() -> None:
    """A message that the broker refuses is not sent again, and each one is reported."""
    delivered: list[int] = []
    refused: list[tuple[int, str, int]] = []
    publish_queue = PublishQueue(
        20, delivered.append, lambda *message: refused.append(message), _fail_if_called
    )
    connection = RecordingConnection(publish_queue)
    message_ids = _publish(publish_queue, b"a", b"b", b"c")
    assert all(publish_queue.on_puback(*puback) for puback in ((1, 0x87), (2, 0x87), (3, 0x10)))
    assert delivered == message_ids[2:]
    assert refused == [(message_ids[0], "t", 0x87), (message_ids[1], "t", 0x87)]
    assert len(connection.packets) == 3


def test_invalid_topics() -> None:
    """A topic that no PUBLISH packet may have is refused at once, and nothing of it is queued."""
    publish_queue, _ = _make_queue()
    connection = RecordingConnection(publish_queue)
    for topic in ("a/+", "#", "a\0b", "x" * 65_536):
        with pytest.raises(ValueError, match="nothing can be published"):
            publish_queue.publish(topic, b"", None, retain=False)
    _publish(publish_queue, b"a")
    assert connection.payloads() == [b"a"]


def test_finish() -> None:
    """`finish` waits until all messages are confirmed; nothing is sent afterwards."""
    publish_queue, _ = _make_queue()
    connection = RecordingConnection(publish_queue, max_in_flight=1)
    _publish(publish_queue, b"a", b"b")
    finishing = threading.Thread(target=publish_queue.finish, args=(TIMEOUT_S,))
    finishing.start()
    assert publish_queue.on_puback(1, 0)
    assert publish_queue.on_puback(2, 0)
    finishing.join(TIMEOUT_S)
    assert not finishing.is_alive()
    _publish(publish_queue, b"c")
    assert connection.payloads() == [b"a", b"b"]


def test_pubacks_of_other_packets() -> None:
    """A PUBACK for a packet of paho's, or one that was confirmed before, is not the queue's."""
    publish_queue, delivered = _make_queue()
    RecordingConnection(publish_queue)
    _publish(publish_queue, b"a")
    assert [publish_queue.on_puback(packet_id, 0) for packet_id in (7, 1, 1)] == [False, True, False]
    assert len(delivered) == 1


def test_unacknowledged_messages_are_resent() -> None:
    """Unconfirmed messages are sent again with their packet identifiers and DUP set, before all others."""
    publish_queue, delivered = _make_queue()
    first = RecordingConnection(publish_queue, max_in_flight=4)
    message_ids = _publish(publish_queue, b"a", b"b", b"c", b"d")
    assert publish_queue.on_puback(2, 0)
    publish_queue.on_disconnected()
    message_ids += _publish(publish_queue, b"e")
    assert not publish_queue.on_puback(9, 0)
    second = RecordingConnection(publish_queue, first_packet_id=40)
    assert first.payloads() == [b"a", b"b", b"c", b"d"]
    assert (second.payloads(), second.packet_ids()) == ([b"a", b"c", b"d", b"e"], [1, 3, 4, 40])
    assert second.dup_flags() == [True, True, True, False]
    assert all(publish_queue.on_puback(packet_id, 0) for packet_id in (1, 3, 4, 40))
    assert sorted(delivered) == message_ids


def test_packet_ids_are_unique() -> None:
    """The packet identifier of an unconfirmed message is used for no other."""
    publish_queue, _ = _make_queue()
    connection = RecordingConnection(publish_queue)
    _publish(publish_queue, b"a", b"b")
    publish_queue.on_connected(
        connection.packets.append, count(1).__next__, BrokerLimits(), has_properties=False
    )
    _publish(publish_queue, b"c")
    assert connection.packet_ids() == [1, 2, 1, 2, 3]


def test_queue_is_bounded() -> None:
    """A full queue accepts nothing until a message is confirmed."""
    publish_queue, _ = _make_queue()
    RecordingConnection(publish_queue)
    assert all(a < b for a, b in pairwise(_publish(publish_queue, *[b"x"] * 20)))  # type: ignore[operator]
    assert _publish(publish_queue, b"y") == [None]
    assert publish_queue.on_puback(1, 0)
    assert _publish(publish_queue, b"z") != [None]


@pytest.mark.parametrize(
    ("version", "connack", "max_in_flight"),
    [
        ("5", b"\x20\x06\x00\x00\x03\x21\x00\x06", 5),
        ("5", b"\x20\x06\x00\x00\x03\x21\x00\x01", 1),
        ("5", b"\x20\x03\x00\x00\x00", 200),
        ("3.1.1", b"\x20\x02\x00\x00", 10),
    ],
)
def test_receive_maximum_is_respected(version: str, connack: bytes, max_in_flight: int) -> None:
    """One message less than the broker's Receive Maximum is sent unconfirmed, and no more."""
    packets: list[int] = []

    def record_packet(packet: bytes) -> bytes:
        packets.append(packet[0])
        return b""

    answers = [lambda _: connack, *[record_packet] * (max_in_flight + 1)]
    with scripted_broker(*answers) as port:
        with session(port, RecordingListener(), version=version) as own:
            wait_until_ready(own)
            for _ in range(300):
                own.publish("out", b"")
            wait_until(lambda: len(packets) >= max_in_flight, "the limit is reached")
        wait_until(lambda: len(packets) > max_in_flight, "the session ends")
    assert packets == [PUBLISH_QOS_1] * max_in_flight + [DISCONNECT]


@pytest.mark.parametrize("protocol", [V5, V311])
@pytest.mark.parametrize("size", [0, 100, 200, 20_000, 3_000_000])
@pytest.mark.parametrize(
    "message_properties",
    [
        None,
        JSON_PROPERTIES,
        MessageProperties(TEXT_PROPERTIES.content_type, 60, (("schema", "1"),), b"x" * 200),
    ],
)
def test_packets_equal_those_of_paho(
    protocol: MQTTProtocolVersion, size: int, message_properties: MessageProperties | None
) -> None:
    """A packet equals byte for byte that of paho for the same message."""
    paho_packets: list[bytes] = []

    class Plain(paho.Client):
        def _packet_queue(self, command: int, packet: Any, *_: Any) -> Any:  # noqa: ARG002, paho's signature
            paho_packets.append(bytes(packet))
            return paho.MQTT_ERR_SUCCESS

    plain = Plain(CallbackAPIVersion.VERSION2, protocol=protocol)
    plain._sock = object()  # type: ignore[assignment] # noqa: SLF001, paho only checks that it is not None
    properties = publish_properties(message_properties) if message_properties and protocol == V5 else None
    plain.publish("a/ä", b"x" * size, 1, retain=True, properties=properties)
    plain._sock = None  # noqa: SLF001
    packets: list[bytes] = []
    publish_queue, _ = _make_queue()
    publish_queue.on_connected(
        packets.append, count(1).__next__, BrokerLimits(), has_properties=protocol == V5
    )
    publish_queue.publish("a/ä", b"x" * size, message_properties, retain=True)
    assert packets == paho_packets


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_messages_survive_a_lost_connection(mosquitto: Mosquitto, version: str) -> None:
    """Messages published before and during a lost connection arrive after it, each confirmed once."""
    proxy = Proxy(mosquitto.port)
    texts = [str(number) for number in range(100)]
    with (
        connect_client(mosquitto.port, "out") as other,
        session(proxy.port, RecordingListener(), version=version) as own,
    ):
        wait_until_ready(own)
        proxy.pause()
        message_ids = [own.publish("out", text.encode()) for text in texts[:50]]
        proxy.disconnect_all()
        proxy.resume()
        wait_until(lambda: not own.ready, "the lost connection is noticed")
        message_ids += [own.publish("out", text.encode()) for text in texts[50:]]
        delivered: list[int] = []
        wait_until(
            lambda: delivered.extend(own.take_delivered()) or len(delivered) >= len(texts),
            "all are confirmed",
        )
        assert delivered == message_ids
        wait_until(lambda: other.texts("out")[-1:] == texts[-1:], "all arrive")
        assert list(dict.fromkeys(other.texts("out"))) == texts
    proxy.close()
