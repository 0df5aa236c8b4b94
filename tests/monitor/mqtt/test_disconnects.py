"""What a session reports when its connection ends, and when it moves to another broker."""

from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from monitor.config.mqtt_settings import MqttSettings
from monitor.mqtt.error_messages import connection_lost
from tests.conftest import BrokerFactory, free_port, wait_until
from tests.monitor.mqtt.recording_listener import RecordingListener, session, wait_until_ready

NO_REASON = ReasonCode(PacketTypes.DISCONNECT, "Unspecified error")  # type: ignore[no-untyped-call]
TAKEN_OVER = ReasonCode(PacketTypes.DISCONNECT, "Session taken over")  # type: ignore[no-untyped-call]
SHORT_HINT = (
    "without a reason; is the client id 'me' used twice, as by a broker that takes logins for client ids "
    "(mqtt.publish_username), or doesn't the broker take a subscription or a message: its size, its "
    "topic, its QoS (mqtt.publish_qos), the retain flag (mqtt.retain)?"
)
NEVER_HINT = (
    "without a reason; does the broker admit the client id 'me', and a will that is retained "
    "(mqtt.retain) and of QoS 1 (mqtt.will_qos)?"
)


@pytest.mark.parametrize(
    ("tls", "reason", "connected_for_s", "expected"),
    [
        ({}, NO_REASON, 100.0, "without a reason"),
        ({}, NO_REASON, 1.5, SHORT_HINT),
        ({}, NO_REASON, None, NEVER_HINT),
        ({"enabled": True}, NO_REASON, None, "without a reason; does the broker want a client certificate?"),
        ({"enabled": True}, NO_REASON, 100.0, "without a reason"),
    ],
)
def test_end_of_a_connection(
    tls: dict[str, Any], reason: ReasonCode, connected_for_s: float | None, expected: str
) -> None:
    """Only for a connection that ends soon and without a reason are causes guessed."""
    settings = MqttSettings.model_validate({"host": "h", "tls": tls})
    assert (
        connection_lost(settings, "me", reason, connected_for_s)
        == f"the connection to h:1883 broke: {expected}"
    )


def test_session_taken() -> None:
    """Of a session that another client took, the message says so, names the client id and what to do."""
    message = connection_lost(MqttSettings(host="h"), "me", TAKEN_OVER, 100.0)
    assert message.startswith(
        "another client connected to h:1883 as 'me' and took the session; expected that"
    )


def test_reconnect_to_another_broker(new_broker: BrokerFactory) -> None:
    """A session that moves reports the new address, and not the end of the old connection."""
    first = new_broker()
    first.start()
    second = new_broker()
    second.start()
    listener = RecordingListener()
    with session(first.port, listener) as own:
        wait_until_ready(own)
        own.reconnect_to(MqttSettings(port=second.port))
        wait_until(lambda: listener.connect_count == 2, "it is connected to the second")
        assert listener.problems == [f"the connection moves to 127.0.0.1:{second.port}"]
        assert own.problem == ""
        second.stop()
        wait_until(lambda: len(listener.problems) == 2, "the end of the second connection is reported")
        assert f"the connection to 127.0.0.1:{second.port} broke" in listener.problems[1]


def test_reconnect_to_without_a_connection(new_broker: BrokerFactory) -> None:
    """A problem with the old address is no longer reported once the session moves."""
    broker, closed_port = new_broker(), free_port()
    broker.start()
    with session(closed_port, RecordingListener()) as own:
        wait_until(lambda: f"{closed_port}: " in own.problem, "the connection is refused")
        own.reconnect_to(MqttSettings(port=broker.port))
        assert f":{closed_port}" not in own.problem
        wait_until_ready(own)
