import socket
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.demo.broker import EmbeddedBroker
from monitor.core.messages import TEXT
from tests.conftest import Mosquitto, NewBroker, free_port, wait_until
from tests.monitor.mqtt.recording_listener import Ear, ready, scripted_broker, session
from tests.support.processes import Proxy, client


@pytest.mark.parametrize("bulk", [True, False])
@pytest.mark.parametrize("version", ["5", "3.1.1", "auto"])
def test_versions(mosquitto: Mosquitto, version: str, *, bulk: bool) -> None:
    """A message comes in and goes out in each version of the protocol, read in bulk or by paho."""
    ear = Ear()
    with (
        client(mosquitto.port, "out") as other,
        session(mosquitto.port, ear, filters=["in/+"], version=version, bulk=bulk) as own,
    ):
        ready(own)
        other.publish("in/a", b"hello")
        wait_until(lambda: ear.messages, "the message comes in")
        assert ear.messages[0][:2] == ("in/a", b"hello")
        number = own.publish("out", b"answer")
        wait_until(lambda: number in own.delivered(), "the broker confirms")
        wait_until(lambda: other.texts("out") == ["answer"], "the message goes out")


def test_falls_back() -> None:
    """`auto` takes 3.1.1 where the broker says that it doesn't speak 5."""
    broker = EmbeddedBroker()
    broker.start()
    ear = Ear()
    with session(broker.port, ear, filters=["in/+"]) as own:
        ready(own)
    broker.stop()
    assert ear.problems == []


def test_network_error_is_no_reason_to_fall_back(tmp_path: Path, new_broker: NewBroker) -> None:
    """A broker that was absent first is spoken to in MQTT 5 all the same."""
    broker = new_broker()
    ear = Ear()
    with session(broker.port, ear, filters=["in/+"]) as own:
        wait_until(lambda: ear.problems, "the attempt fails")
        assert f"no connection to 127.0.0.1:{broker.port}" in own.problem
        broker.start()
        ready(own)
        assert "p5" in (tmp_path / "mosquitto.log").read_text()


def test_problem_is_said_once() -> None:
    """Attempts that fail alike are one line in the log."""
    ear = Ear()
    with session(free_port(), ear) as own:
        wait_until(lambda: ear.problems, "the attempt fails")
        own._on_connect_fail(None, None)  # noqa: SLF001, a second failure without waiting for the pause
        assert len([text for text in ear.problems if text == ear.problems[-1]]) == 1


def test_subscriptions_come_back(new_broker: NewBroker) -> None:
    """A broker that was restarted and forgot everything is subscribed to again."""
    broker = new_broker()
    broker.start()
    ear = Ear()
    with session(broker.port, ear, filters=["in/+"], births=[("born", b"online", TEXT)]) as own:
        ready(own)
        broker.stop()
        wait_until(lambda: not own.ready, "the break is noticed")
        broker.start()
        ready(own)
        with client(broker.port, "born") as other:
            other.publish("in/a", b"again")
            wait_until(lambda: ear.messages, "the message comes in")
            wait_until(lambda: other.texts("born") == ["online"], "the birth message is there again")
    assert ear.connections == 2


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_unacknowledged_comes_again(mosquitto: Mosquitto, version: str) -> None:
    """What was acknowledged stays away after a break; what wasn't comes again, marked; old receipts lapse."""
    proxy = Proxy(mosquitto.port)
    ear = Ear()
    with (
        client(mosquitto.port) as other,
        session(proxy.port, ear, filters=["in/+"], durable=True, version=version) as own,
    ):
        ready(own)
        other.publish("in/a", b"first")
        other.publish("in/a", b"second")
        wait_until(lambda: len(ear.messages) == 2, "both come in")
        own.acknowledge([ear.messages[0][2]])
        number = own.publish("out", b"")  # confirmed only after the acknowledgement before it was read
        wait_until(lambda: number in own.delivered(), "the broker read the acknowledgement")
        late = ear.messages[1][2]
        proxy.cut()
        wait_until(lambda: len(ear.messages) == 3, "one comes again")
        ready(own)
        assert ear.messages[2][1] == b"second"
        own.acknowledge([late])
        proxy.cut()
        wait_until(lambda: len(ear.messages) == 4, "the lapsed receipt acknowledged nothing")
        assert ear.messages[3][1] == b"second"
        assert ear.redelivered == [False, False, True, True]
    proxy.close()


def test_will(mosquitto: Mosquitto) -> None:
    """Whoever leaves says so, and the broker says it for whoever can't."""
    with client(mosquitto.port, "status") as other:
        proxy = Proxy(mosquitto.port)
        options: dict[str, Any] = {"births": [("status", b"online", TEXT)], "will": ("status", b"offline")}
        with session(proxy.port, Ear(), **options) as own:
            ready(own)
            wait_until(lambda: other.texts("status") == ["online"], "it says online")
            proxy.cut()
            wait_until(lambda: other.texts("status")[:3] == ["online", "offline", "online"], "it comes back")
            ready(own)
        wait_until(lambda: other.texts("status")[-1] == "offline", "it says offline")
        proxy.close()


@pytest.mark.parametrize(
    ("login", "expected"),
    [({"username": "monitor", "secret": "geheim"}, "are right for 'monitor'"), ({}, "are set")],
)
def test_wrong_password(tmp_path: Path, new_broker: NewBroker, login: dict[str, str], expected: str) -> None:
    """A refused login is told with the broker's word, what to look at, and without the password."""
    (tmp_path / "passwords").write_text("")
    broker = new_broker("allow_anonymous false", f"password_file {tmp_path / 'passwords'}")
    broker.start()
    ear = Ear()
    with session(broker.port, ear, **login) as own:
        wait_until(lambda: ear.problems, "the broker refuses")
        assert own.problem == (
            f"the broker at 127.0.0.1:{broker.port} refuses the connection: Not authorized; "
            f"expected that mqtt.username and its password {expected}"
        )
        assert not own.ready


def test_refused_subscription() -> None:
    """A filter that the broker doesn't grant keeps the session from being ready, with the filter's name."""
    ear = Ear()
    connack = b"\x20\x02\x00\x00"
    with (
        scripted_broker(lambda _: connack, lambda packet: b"\x90\x03" + packet[2:4] + b"\x80") as port,
        session(port, ear, filters=["in/+"], version="3.1.1") as own,
    ):
        wait_until(lambda: ear.problems, "the broker refuses")
        assert own.problem == "the broker refuses the subscription in/+: Unspecified error"
        assert not own.ready


def test_silent_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that takes the connection and says nothing is told of, and not waited for in silence."""
    monkeypatch.setattr("monitor.mqtt.version_probe._PATIENCE", 1)
    ear = Ear()
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        session(listener.getsockname()[1], ear) as own,
    ):
        wait_until(lambda: ear.problems, "it is told")
        assert own.problem.endswith("takes the connection and doesn't answer as an MQTT broker does")


def test_taken_over() -> None:
    """The one that lost its id to another is told so and stays away."""
    ear = Ear()
    connack, taken_over = b"\x20\x03\x00\x00\x00", b"\xe0\x02\x8e\x00"
    with (
        scripted_broker(lambda _: connack + taken_over) as port,
        session(port, ear, version="5") as own,
    ):
        wait_until(ear.ended.is_set, "it is told")
        assert own.problem == "another client has taken over the client id"
