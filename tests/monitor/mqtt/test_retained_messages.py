"""Messages that the broker keeps: how often a session gets them, and how it marks them."""

from typing import Any

import pytest

from tests.conftest import Mosquitto, wait_until
from tests.monitor.mqtt.recording_listener import RecordingListener, session, wait_until_ready
from tests.support.processes import Proxy, connect_client


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("options", [{"qos": 0}, {"qos": 1}, {"qos": 2}, {"qos": 1, "bulk": False}])
def test_flag_of_a_retained_message(mosquitto: Mosquitto, version: str, options: dict[str, Any]) -> None:
    """A message that the broker kept is marked, one that it forwards is not, even where it keeps that too."""
    listener = RecordingListener()
    with connect_client(mosquitto.port) as other:
        other.publish("in/a", b"kept", options["qos"], retain=True)
        with session(mosquitto.port, listener, filters=["in/+"], version=version, **options) as own:
            wait_until_ready(own)
            wait_until(lambda: listener.messages, "the kept message arrives")
            other.publish("in/a", b"live", options["qos"], retain=True)
            wait_until(lambda: len(listener.messages) == 2, "the live message arrives")
    assert [payload for _, payload, _ in listener.messages] == [b"kept", b"live"]
    assert listener.retained == [True, False]


@pytest.mark.parametrize(("version", "expected"), [("5", 0), ("3.1.1", 1)])
def test_retained_messages_after_a_reconnect(mosquitto: Mosquitto, version: str, expected: int) -> None:
    """With MQTT 5 retained messages come with the first subscription only; 3.1.1 cannot ask for that."""
    proxy, listener = Proxy(mosquitto.port), RecordingListener()
    with connect_client(mosquitto.port) as other:
        other.publish("in/a", b"kept", retain=True)
        with session(proxy.port, listener, filters=["in/+"], durable=True, version=version) as own:
            wait_until_ready(own)
            wait_until(lambda: listener.messages, "it arrives")
            own.acknowledge([listener.messages[0][2]])
            message_id = own.publish("out", b"")  # confirmed after the broker has read the acknowledgement
            wait_until(lambda: message_id in own.take_delivered(), "the broker read the acknowledgement")
            proxy.disconnect_all()
            wait_until(lambda: listener.connect_count == 2, "it reconnects")
            other.publish("in/b", b"last")
            wait_until(lambda: listener.messages[-1][1] == b"last", "a live one arrives")
    assert [payload for _, payload, _ in listener.messages] == [b"kept"] * (1 + expected) + [b"last"]
    assert listener.retained == [True] * (1 + expected) + [False]
    proxy.close()
