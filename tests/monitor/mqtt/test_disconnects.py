"""What a session says of the end of its connection, and of a broker that is elsewhere from now on."""

from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from monitor.config.settings import Mqtt
from monitor.mqtt.error_messages import broken
from tests.conftest import NewBroker, free_port, wait_until
from tests.monitor.mqtt.recording_listener import Ear, ready, session

NO_REASON = ReasonCode(PacketTypes.DISCONNECT, "Unspecified error")  # type: ignore[no-untyped-call]
KICKED = ReasonCode(PacketTypes.DISCONNECT, "Session taken over")  # type: ignore[no-untyped-call]
TWICE = "without a reason; is the client id used twice?"


@pytest.mark.parametrize(
    ("tls", "reason", "lasted", "says"),
    [
        ({}, KICKED, 100.0, "Session taken over"),
        ({}, NO_REASON, 100.0, "without a reason"),
        ({}, NO_REASON, 1.5, TWICE),
        ({}, NO_REASON, None, TWICE),
        ({"enabled": True}, NO_REASON, None, "without a reason; does the broker want a client certificate?"),
        ({"enabled": True}, NO_REASON, 100.0, "without a reason"),
    ],
)
def test_end_of_a_connection(
    tls: dict[str, Any], reason: ReasonCode, lasted: float | None, says: str
) -> None:
    """Only a connection that ends soon looks like one that another client with this id threw out."""
    settings = Mqtt.model_validate({"host": "h", "tls": tls})
    assert broken(settings, reason, lasted) == f"the connection to h:1883 broke: {says}"


def test_move(new_broker: NewBroker) -> None:
    """A session that moves says where to, and of the connection that it leaves nothing is said."""
    here = new_broker()
    here.start()
    there = new_broker()
    there.start()
    ear = Ear()
    with session(here.port, ear) as own:
        ready(own)
        own.move(Mqtt(port=there.port))
        wait_until(lambda: ear.connections == 2, "it is there")
        assert ear.problems == [f"the connection moves to 127.0.0.1:{there.port}"]
        assert own.problem == ""
        there.stop()
        wait_until(lambda: len(ear.problems) == 2, "the end of that one is said")
        assert f"the connection to 127.0.0.1:{there.port} broke" in ear.problems[1]


def test_move_without_a_connection(new_broker: NewBroker) -> None:
    """What is said of the former address doesn't stay while it has yet to try the new one."""
    there, nowhere = new_broker(), free_port()
    there.start()
    with session(nowhere, Ear()) as own:
        wait_until(lambda: f"{nowhere}: " in own.problem, "nobody is there")
        own.move(Mqtt(port=there.port))
        assert f":{nowhere}" not in own.problem
        ready(own)
