"""A message that the broker does not take is set aside, and the messages behind it arrive."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from monitor.core.messages import JSON_PROPERTIES, TEXT_PROPERTIES, MessageProperties
from monitor.mqtt.broker_limits import BrokerLimits
from monitor.mqtt.disconnect_causes import Blame
from monitor.mqtt.publish_queue import PublishQueue
from tests.conftest import BrokerFactory, Mosquitto, wait_until
from tests.monitor.cli.test_run import reading
from tests.monitor.mqtt.recording_listener import RecordingListener, session, wait_until_ready
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY

LONG_GROUP = "line1/" + "g" * 150
_LIMIT = 900
"""Bytes of the largest packet: alerts and discovery of `LONG_GROUP` are larger, those of `b` are not."""


@pytest.fixture
def narrow_broker(new_broker: BrokerFactory) -> Mosquitto:
    """A broker that disconnects who sends larger packets: with a reason in MQTT 5, without one in 3.1.1."""
    broker = new_broker("allow_anonymous true", f"max_packet_size {_LIMIT}")
    broker.start()
    return broker


@pytest.fixture
def _quick_reconnects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients in this process reconnect at once."""
    monkeypatch.setattr("monitor.mqtt.reconnect_delays._SHORTEST_RANGE_S", (0.01, 0.02))
    monkeypatch.setattr("monitor.mqtt.reconnect_delays._LONGEST_RANGE_S", (0.02, 0.03))


@pytest.mark.usefixtures("_quick_reconnects")
@pytest.mark.parametrize("bulk", [True, False])
@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_too_large(
    narrow_broker: Mosquitto, caplog: pytest.LogCaptureFixture, version: str, *, bulk: bool
) -> None:
    """Alerts, states, answers and births that are too large are set aside, and each is named once."""
    listener, large = RecordingListener(), b"x" * _LIMIT
    answer = MessageProperties(JSON_PROPERTIES.content_type, correlation_data=b"7")
    births = [("info", large, JSON_PROPERTIES), ("status", b"online", TEXT_PROPERTIES)]
    with (
        connect_client(narrow_broker.port, "#") as other,
        session(narrow_broker.port, listener, version=version, bulk=bulk, births=births) as own,
    ):
        wait_until(lambda: other.texts("status"), "the second birth arrives")
        wait_until_ready(own)
        message_ids = [
            own.publish("alerts/a", large),
            own.publish("alerts/b", b"alert"),
            own.publish("state/a", large, retain=True),
            own.publish("state/b", b"state", retain=True),
            own.publish("response/x", large, properties=answer),
            own.publish("response/y", b"answer", properties=answer),
        ]
        delivered: set[int] = set()
        wait_until(
            lambda: delivered.update(own.take_delivered()) or delivered >= {*message_ids}, "all are done"
        )
        expected = {"status": b"online", "alerts/b": b"alert", "state/b": b"state", "response/y": b"answer"}
        wait_until(lambda: {topic for topic, _, _ in other.messages} >= {*expected}, "the others arrive")
        assert {topic: payload for topic, payload, _ in other.messages} == expected
        assert listener.refused_count >= 4
        named = [text.split("'")[1] for text in caplog.messages if text.startswith("set aside a message for")]
        assert sorted(named) == ["alerts/a", "info", "response/x", "state/a"]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_alerts_of_other_groups(
    tmp_path: Path, narrow_broker: Mosquitto, toy_bundle: Path, version: str
) -> None:
    """Alerts of other groups arrive, after a restart too; the outbox holds nothing that can't be sent."""
    options = f'version = "{version}"', "[homeassistant]\ndiscovery = true"
    monitor = Monitor(tmp_path, toy_bundle, narrow_broker.port, options[1], options[0])
    with connect_client(narrow_broker.port, "sensor-monitor/#", "homeassistant/#") as other:
        with run_monitor(monitor):
            for group in (LONG_GROUP, "line1/b"):
                other.publish(f"plant/{group}/reading", [reading(1000 + 5 * n, FAULTY) for n in range(3)])
            wait_until(
                lambda: other.payloads("sensor-monitor/alerts/line1/b"), "the other group's alert arrives"
            )
            wait_until(lambda: other.payloads("homeassistant/binary_sensor/line1-b"), "it is discovered")
            wait_until(
                lambda: monitor.metric("messages_refused_total") >= 2, "alert and discovery are counted"
            )
            assert monitor.terminate() == 0
            assert monitor.log().count(f"set aside a message for 'sensor-monitor/alerts/{LONG_GROUP}'") == 1
        with run_monitor(monitor):
            assert "and 0 messages to send" in monitor.log()
            other.publish("plant/line1/c/reading", [reading(1000 + 5 * n, FAULTY) for n in range(3)])
            wait_until(lambda: other.payloads("sensor-monitor/alerts/line1/c"), "the next alert arrives")
        assert not other.payloads(f"sensor-monitor/alerts/{LONG_GROUP}")


@pytest.mark.parametrize(
    ("lines", "version", "mqtt"),
    [
        (("retain_available false",), "5", {}),
        (("retain_available false",), "3.1.1", {"retain": False}),
        (("max_qos 0",), "5", {}),
        (("max_qos 0",), "3.1.1", {"publish_qos": 0}),
        (("max_qos 0", "retain_available false"), "auto", {}),
        ((), "5", {"retain": False, "will_qos": 0}),
    ],
)
@pytest.mark.usefixtures("_quick_reconnects")
def test_broker_without_retain_or_qos_1(
    new_broker: BrokerFactory, lines: tuple[str, ...], version: str, mqtt: dict[str, Any]
) -> None:
    """A broker that says what it does not have gets nothing of it; for MQTT 3.1.1 there are settings."""
    broker = new_broker("allow_anonymous true", *lines)
    broker.start()
    options: dict[str, Any] = {
        "births": [("status", b"online", TEXT_PROPERTIES)],
        "will": ("status", b"offline"),
    }
    with connect_client(broker.port, "#") as other:
        with session(broker.port, RecordingListener(), version=version, **mqtt, **options) as own:
            wait_until_ready(own)
            message_ids = {own.publish("alerts/a", b"alert"), own.publish("state/a", b"state", retain=True)}
            wait_until(
                lambda: not message_ids.difference_update(own.take_delivered()) and not message_ids,
                "both are done",
            )
        wait_until(lambda: other.texts("status") == ["online", "offline"], "birth and farewell arrive")
        assert (other.texts("alerts/a"), other.texts("state/a")) == (["alert"], ["state"])
    if "max_qos 0" not in lines or "retain_available false" in lines:
        with connect_client(broker.port, "#") as later:
            later.publish("end", b"", qos=0)
            wait_until(lambda: later.texts("end"), "all that is retained has arrived")
            assert [topic for topic, _, _ in later.messages] == ["end"]


class _Connections:
    """Connections that a broker ends after a certain message, as long as it is sent."""

    def __init__(self, is_taken: Callable[[bytes], bool]) -> None:
        self._is_taken = is_taken
        self.packet_ids = count(1)
        self.done: list[int] = []
        self.set_aside: list[str] = []
        self.ended = 0
        self.queue = PublishQueue(1000, self.done.append, lambda *_: None, self._add_set_aside)

    def run(self, blame: Blame = Blame.POSSIBLE) -> None:
        """Connect, and confirm what is sent until the broker ends the connection or all is confirmed."""
        packets: list[bytes] = []
        self.queue.on_connected(
            packets.append, self.packet_ids.__next__, BrokerLimits(), has_properties=False
        )
        while packets:
            packet = packets.pop(0)
            topic = packet[4 : 4 + packet[3]]
            if not self._is_taken(topic):
                self.ended += 1
                self.queue.on_disconnected()
                self.queue.on_connection_ended(blame)
                return
            self.queue.on_puback(int.from_bytes(packet[4 + len(topic) :][:2]), 0)

    def _add_set_aside(self, message_id: int, topic: str, _: str) -> None:
        self.set_aside.append(topic)
        self.done.append(message_id)

    def publish(self, *topics: str) -> None:
        for topic in topics:
            self.queue.publish(topic, b"", None, retain=False)


@pytest.mark.parametrize(("blame", "connections"), [(Blame.POSSIBLE, 4), (Blame.CERTAIN, 2)])
def test_which_message_it_is(blame: Blame, connections: int) -> None:
    """Of many unconfirmed messages exactly the one after which connections break is set aside."""
    broker = _Connections(lambda topic: topic != b"bad")
    broker.publish("a", "b", "bad", "c", "d")
    while len(broker.done) < 5:
        broker.run(blame)
    assert (broker.set_aside, broker.ended) == (["bad"], connections)


def test_connections_that_break_for_other_reasons() -> None:
    """However often a connection breaks for a reason that no message is, nothing is set aside."""
    broker = _Connections(lambda _: False)
    broker.publish("a", "b")
    for _ in range(20):
        broker.run(Blame.NONE)
    assert (broker.set_aside, broker.done) == ([], [])


def test_further_messages_of_a_kind() -> None:
    """After two messages of a topic, or large ones of three topics, others of the kind are not sent."""
    broker = _Connections(lambda topic: len(topic) < 10)
    for number in range(20):
        broker.publish("same-long-topic", "a")
        while len(broker.done) < 2 * number + 2:
            broker.run()
    assert (broker.ended, broker.set_aside) == (3 + 1 + 1, ["same-long-topic"] * 20)
    broker.publish(*(f"another-long-topic-{number}" for number in range(20)), "b")
    while len(broker.done) < 61:
        broker.run()
    assert broker.ended <= 5 + 4
    assert len(broker.set_aside) == 40
