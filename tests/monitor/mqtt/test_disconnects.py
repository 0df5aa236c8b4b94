"""What a session says of the end of its connection, and of a broker that is elsewhere from now on."""

from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from monitor.config.settings import MqttSettings
from monitor.mqtt.error_messages import connection_lost
from tests.conftest import BrokerFactory, free_port, wait_until
from tests.monitor.mqtt.recording_listener import RecordingListener, session, wait_until_ready

NO_REASON = ReasonCode(PacketTypes.DISCONNECT, "Unspecified error")  # type: ignore[no-untyped-call]
TAKEN_OVER = ReasonCode(PacketTypes.DISCONNECT, "Session taken over")  # type: ignore[no-untyped-call]
DUPLICATE_ID_HINT = "without a reason; is the client id used twice?"


@pytest.mark.parametrize(
    ("tls", "reason", "connected_for_s", "expected"),
    [
        ({}, TAKEN_OVER, 100.0, "Session taken over"),
        ({}, NO_REASON, 100.0, "without a reason"),
        ({}, NO_REASON, 1.5, DUPLICATE_ID_HINT),
        ({}, NO_REASON, None, DUPLICATE_ID_HINT),
        ({"enabled": True}, NO_REASON, None, "without a reason; does the broker want a client certificate?"),
        ({"enabled": True}, NO_REASON, 100.0, "without a reason"),
    ],
)
def test_end_of_a_connection(
    tls: dict[str, Any], reason: ReasonCode, connected_for_s: float | None, expected: str
) -> None:
    """Only a connection that ends soon looks like one that another client with this id threw out."""
    settings = MqttSettings.model_validate({"host": "h", "tls": tls})
    assert connection_lost(settings, reason, connected_for_s) == f"the connection to h:1883 broke: {expected}"


def test_reconnect_to_another_broker(new_broker: BrokerFactory) -> None:
    """A session that moves says where to, and of the connection that it leaves nothing is said."""
    here = new_broker()
    here.start()
    there = new_broker()
    there.start()
    listener = RecordingListener()
    with session(here.port, listener) as own:
        wait_until_ready(own)
        own.reconnect_to(MqttSettings(port=there.port))
        wait_until(lambda: listener.connect_count == 2, "it is there")
        assert listener.problems == [f"the connection moves to 127.0.0.1:{there.port}"]
        assert own.problem == ""
        there.stop()
        wait_until(lambda: len(listener.problems) == 2, "the end of that one is said")
        assert f"the connection to 127.0.0.1:{there.port} broke" in listener.problems[1]


def test_reconnect_to_without_a_connection(new_broker: BrokerFactory) -> None:
    """What is said of the former address doesn't stay while it has yet to try the new one."""
    there, nowhere = new_broker(), free_port()
    there.start()
    with session(nowhere, RecordingListener()) as own:
        wait_until(lambda: f"{nowhere}: " in own.problem, "nobody is there")
        own.reconnect_to(MqttSettings(port=there.port))
        assert f":{nowhere}" not in own.problem
        wait_until_ready(own)
