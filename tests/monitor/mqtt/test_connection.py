import socket
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.demo.broker import EmbeddedBroker
from monitor.core.messages import TEXT_PROPERTIES
from tests.conftest import BrokerFactory, Mosquitto, free_port, wait_until
from tests.monitor.mqtt.recording_listener import (
    RecordingListener,
    scripted_broker,
    session,
    wait_until_ready,
)
from tests.support.processes import Proxy, connect_client


@pytest.mark.parametrize("bulk", [True, False])
@pytest.mark.parametrize("version", ["5", "3.1.1", "auto"])
def test_versions(mosquitto: Mosquitto, version: str, *, bulk: bool) -> None:
    """A message is received and one is published in each protocol version, in bulk or by paho."""
    listener = RecordingListener()
    with (
        connect_client(mosquitto.port, "out") as other,
        session(mosquitto.port, listener, filters=["in/+"], version=version, bulk=bulk) as own,
    ):
        wait_until_ready(own)
        other.publish("in/a", b"hello")
        wait_until(lambda: listener.messages, "the message arrives")
        assert listener.messages[0][:2] == ("in/a", b"hello")
        message_id = own.publish("out", b"answer")
        wait_until(lambda: message_id in own.take_delivered(), "the broker confirms")
        wait_until(lambda: other.texts("out") == ["answer"], "the answer is published")


def test_falls_back_to_v311() -> None:
    """`auto` uses MQTT 3.1.1 if the broker answers that it does not support 5."""
    broker = EmbeddedBroker()
    broker.start()
    listener = RecordingListener()
    with session(broker.port, listener, filters=["in/+"]) as own:
        wait_until_ready(own)
    broker.stop()
    assert listener.problems == []


def test_network_error_is_no_reason_to_fall_back(tmp_path: Path, new_broker: BrokerFactory) -> None:
    """MQTT 5 is used all the same with a broker that was absent at first."""
    broker = new_broker()
    listener = RecordingListener()
    with session(broker.port, listener, filters=["in/+"]) as own:
        wait_until(lambda: listener.problems, "the attempt fails")
        assert f"no connection to 127.0.0.1:{broker.port}" in own.problem
        broker.start()
        wait_until_ready(own)
        assert "p5" in (tmp_path / "mosquitto.log").read_text()


def test_repeated_problem_is_reported_once() -> None:
    """Attempts to connect that fail in the same way are reported once."""
    listener = RecordingListener()
    with session(free_port(), listener) as own:
        wait_until(lambda: listener.problems, "the attempt fails")
        own._on_connect_fail(None, None)  # noqa: SLF001, a second failure without waiting for the reconnect delay
        assert len([text for text in listener.problems if text == listener.problems[-1]]) == 1


def test_subscriptions_come_back(new_broker: BrokerFactory) -> None:
    """After a restart of a broker that keeps nothing, the session subscribes again."""
    broker = new_broker()
    broker.start()
    listener = RecordingListener()
    with session(
        broker.port, listener, filters=["in/+"], births=[("born", b"online", TEXT_PROPERTIES)]
    ) as own:
        wait_until_ready(own)
        broker.stop()
        wait_until(lambda: not own.ready, "the lost connection is noticed")
        broker.start()
        wait_until_ready(own)
        with connect_client(broker.port, "born") as other:
            other.publish("in/a", b"again")
            wait_until(lambda: listener.messages, "the message arrives")
            wait_until(lambda: other.texts("born") == ["online"], "the birth is published again")
    assert listener.connect_count == 2


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_unacknowledged_messages_are_redelivered(mosquitto: Mosquitto, version: str) -> None:
    """After a reconnect only unacknowledged messages are redelivered, with DUP; old tokens have no effect."""
    proxy = Proxy(mosquitto.port)
    listener = RecordingListener()
    with (
        connect_client(mosquitto.port) as other,
        session(proxy.port, listener, filters=["in/+"], durable=True, version=version) as own,
    ):
        wait_until_ready(own)
        other.publish("in/a", b"first")
        other.publish("in/a", b"second")
        wait_until(lambda: len(listener.messages) == 2, "both arrive")
        own.acknowledge([listener.messages[0][2]])
        message_id = own.publish("out", b"")  # confirmed after the broker has read the acknowledgement
        wait_until(lambda: message_id in own.take_delivered(), "the broker read the acknowledgement")
        old_token = listener.messages[1][2]
        proxy.disconnect_all()
        wait_until(lambda: len(listener.messages) == 3, "one arrives again")
        wait_until_ready(own)
        assert listener.messages[2][1] == b"second"
        own.acknowledge([old_token])
        proxy.disconnect_all()
        wait_until(lambda: len(listener.messages) == 4, "the old token acknowledged nothing")
        assert listener.messages[3][1] == b"second"
        assert listener.redelivered == [False, False, True, True]
    proxy.close()


def test_will(mosquitto: Mosquitto) -> None:
    """The will is published by a session that stops, and by the broker if the connection is lost."""
    with connect_client(mosquitto.port, "status") as other:
        proxy = Proxy(mosquitto.port)
        options: dict[str, Any] = {
            "births": [("status", b"online", TEXT_PROPERTIES)],
            "will": ("status", b"offline"),
        }
        with session(proxy.port, RecordingListener(), **options) as own:
            wait_until_ready(own)
            wait_until(lambda: other.texts("status") == ["online"], "it publishes online")
            proxy.disconnect_all()
            wait_until(lambda: other.texts("status")[:3] == ["online", "offline", "online"], "it reconnects")
            wait_until_ready(own)
        wait_until(lambda: other.texts("status")[-1] == "offline", "it publishes offline")
        proxy.close()


@pytest.mark.parametrize(
    ("login", "expected"),
    [({"username": "monitor", "password": "geheim"}, "are right for 'monitor'"), ({}, "are set")],
)
def test_wrong_password(
    tmp_path: Path, new_broker: BrokerFactory, login: dict[str, str], expected: str
) -> None:
    """A refused login is reported with the broker's reason and the settings to check, not the password."""
    (tmp_path / "passwords").write_text("")
    broker = new_broker("allow_anonymous false", f"password_file {tmp_path / 'passwords'}")
    broker.start()
    listener = RecordingListener()
    with session(broker.port, listener, **login) as own:
        wait_until(lambda: listener.problems, "the broker refuses")
        assert own.problem == (
            f"the broker at 127.0.0.1:{broker.port} refuses the connection: Not authorized; "
            f"expected that mqtt.username and its password {expected}, and that 'under-test' is admitted"
        )
        assert not own.ready


def test_refused_subscription() -> None:
    """A session whose input filter is refused is not ready, and its problem names the filter."""
    listener = RecordingListener()
    connack = b"\x20\x02\x00\x00"
    with (
        scripted_broker(lambda _: connack, lambda packet: b"\x90\x03" + packet[2:4] + b"\x80") as port,
        session(port, listener, filters=["in/+"], version="3.1.1") as own,
    ):
        wait_until(lambda: listener.problems, "the broker refuses")
        assert own.problem == "the broker refuses the subscription in/+: Unspecified error"
        assert not own.ready


def test_peer_without_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that accepts the connection and sends nothing is reported after a while."""
    monkeypatch.setattr("monitor.mqtt.version_probe._TIMEOUT_S", 1)
    listener = RecordingListener()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        session(server.getsockname()[1], listener) as own,
    ):
        wait_until(lambda: listener.problems, "it is reported")
        assert "takes the connection and doesn't answer as an MQTT broker does" in own.problem
        assert "does it admit the client id 'under-test-version'" in own.problem


def test_server_keep_alive() -> None:
    """A broker's Server Keep Alive takes the place of the setting."""
    packets: list[bytes] = []
    connack = b"\x20\x06\x00\x00\x03\x13\x00\x01"  # Server Keep Alive: 1 s
    with (
        scripted_broker(lambda _: connack, lambda packet: packets.append(packet) or b"\xd0\x00") as port,
        session(port, RecordingListener(), version="5", keepalive=600),
    ):
        wait_until(lambda: packets, "the client sends the first packet after CONNECT")
    assert packets == [b"\xc0\x00"], "it is a PINGREQ"


def test_session_taken() -> None:
    """A session that another client took has a problem that names the client id, and doesn't end."""
    listener = RecordingListener()
    connack, taken_over = b"\x20\x03\x00\x00\x00", b"\xe0\x02\x8e\x00"
    with (
        scripted_broker(lambda _: connack + taken_over) as port,
        session(port, listener, version="5") as own,
    ):
        wait_until(lambda: listener.problems, "it is reported")
        assert "as 'under-test' and took the session" in listener.problems[0]
        assert listener.session_taken_count == 1
        assert not own.ready
    assert not listener.taken_over_event.is_set()
