from typing import Any

import pytest

from monitor.core.messages import About
from monitor.mqtt.client import pauses
from tests.conftest import Mosquitto, NewBroker, wait_until
from tests.monitor.mqtt.recording_listener import Ear, ready, scripted_broker, session
from tests.support.processes import client

MIB = 1024 * 1024


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_former_subscriptions_end(mosquitto: Mosquitto, version: str) -> None:
    """What an earlier run subscribed to and this one doesn't no longer comes; what both do comes."""
    ear = Ear()
    options: dict[str, Any] = {"durable": True, "version": version}
    with session(mosquitto.port, Ear(), filters=["old/+", "in/+"], requests="r/#", **options) as before:
        ready(before)
        assert before.subscriptions == ("r/#", "old/+", "in/+")
    with (
        client(mosquitto.port) as other,
        session(mosquitto.port, ear, filters=["in/+"], former=before.subscriptions, **options) as own,
    ):
        ready(own)
        for topic in ("old/a", "r/a", "in/a"):
            other.publish(topic, b"")
        wait_until(lambda: "in/a" in [topic for topic, _, _ in ear.messages], "the message comes in")
        assert [topic for topic, _, _ in ear.messages] == ["in/a"]


def test_receipts_of_another_session_lapse(mosquitto: Mosquitto) -> None:
    """A receipt acknowledges nothing of a session that follows in the same process."""
    first, second = Ear(), Ear()
    options: dict[str, Any] = {"filters": ["in/+"], "durable": True}
    with client(mosquitto.port) as other:
        with session(mosquitto.port, first, **options) as own:
            ready(own)
            other.publish("in/a", b"hello")
            wait_until(lambda: first.messages, "the message comes in")
        for _ in range(2):
            with session(mosquitto.port, second, **options) as own:
                ready(own)
                wait_until(lambda: second.messages, "it comes again")
                own.acknowledge([first.messages[0][2]])
                number = own.publish("out", b"")  # confirmed only after what we sent before was read
                wait_until(lambda own=own, number=number: number in own.delivered(), "the broker read it")
        wait_until(lambda: len(second.messages) == 2, "it was not acknowledged")


def test_requests(mosquitto: Mosquitto) -> None:
    """A request comes as one and not as a reading, and again until it is acknowledged."""
    ear, asker = Ear(), Ear()
    options: dict[str, Any] = {"filters": ["in/+"], "requests": "base/request/#", "durable": True}
    with session(mosquitto.port, asker, "asker", filters=["answers"]), client(mosquitto.port) as other:
        with session(mosquitto.port, ear, **options) as own:
            ready(own)
            other.publish("base/request/reload", b"plain")
            wait_until(lambda: len(ear.requests) == 1, "the request comes")
        with session(mosquitto.port, ear, **options) as own:
            wait_until(lambda: len(ear.requests) == 2, "it wasn't acknowledged, so it comes again")
            own.acknowledge(ear.receipts[-1:])
        with session(mosquitto.port, ear, **options) as own:
            ready(own)
            other.publish("base/request", b"bare")
            wait_until(lambda: len(ear.requests) == 3, "the next one comes, and the first is done with")
    assert ear.requests == [
        ("base/request/reload", b"plain", None, None),
        ("base/request/reload", b"plain", None, None),
        ("base/request", b"bare", None, None),
    ]
    assert ear.messages == []


def string(text: str) -> bytes:
    """Return a text as MQTT writes it."""
    return len(text).to_bytes(2, "big") + text.encode()


@pytest.mark.parametrize(("topic", "told"), [("answers/me", "answers/me"), ("a/#", None), ("a/+", None)])
def test_request_that_wants_an_answer(topic: str, told: str | None) -> None:
    """Response topic and correlation are told; a topic to which nobody can publish counts as none."""
    ear = Ear()
    properties = b"\x08" + string(topic) + b"\x09" + string("42")
    body = string("base/request/x") + bytes([len(properties)]) + properties + b"please"
    request = b"\x30" + bytes([len(body)]) + body
    with (
        scripted_broker(lambda _: b"\x20\x03\x00\x00\x00" + request) as port,
        session(port, ear, requests="base/request/#", version="5"),
    ):
        wait_until(lambda: ear.requests, "the request comes")
    assert ear.requests == [("base/request/x", b"please", told, b"42")]


def test_answer_bears_correlation(mosquitto: Mosquitto) -> None:
    """An answer bears the correlation of its request where the protocol has a place for it."""
    ear = Ear()
    with session(mosquitto.port, ear, "asker", requests="answers/#") as asker:
        ready(asker)
        for version in ("5", "3.1.1"):
            with session(mosquitto.port, Ear(), version=version) as own:
                ready(own)
                own.publish(f"answers/{version}", b"", about=About(correlation=b"\x00\xff"))
                wait_until(lambda: [r for r in ear.requests if r[0].endswith(version)], "the answer comes")  # noqa: B023
    assert {topic: correlation for topic, _, _, correlation in ear.requests} == {
        "answers/5": b"\x00\xff",
        "answers/3.1.1": None,
    }


@pytest.mark.parametrize("extra", [{"requests": "base/request/#"}, {"claim": "base/info"}])
def test_refused_extra(extra: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """A refused subscription that one can do without is told, and the session is ready all the same."""
    answers = (
        lambda _: b"\x20\x02\x00\x00",
        lambda packet: b"\x90\x03" + packet[2:4] + b"\x80",
        lambda packet: b"\x90\x03" + packet[2:4] + b"\x00",
    )
    with (
        scripted_broker(*answers) as port,
        session(port, Ear(), filters=["in/+"], version="3.1.1", **extra) as own,
    ):
        ready(own)
    (name,) = extra.values()
    assert f"the broker refuses the subscription {name}: Unspecified error; all else works" in caplog.text


def test_packet_that_is_too_large(mosquitto: Mosquitto) -> None:
    """What is larger than 4 MiB never reaches us, and what follows does."""
    ear = Ear()
    with session(mosquitto.port, ear, filters=["in/+"]) as own, client(mosquitto.port) as other:
        ready(own)
        other.publish("in/large", bytes(5 * MIB))
        other.publish("in/small", bytes(MIB + 1))
        wait_until(lambda: ear.messages, "the small one comes")
        assert [(topic, len(payload)) for topic, payload, _ in ear.messages] == [("in/small", MIB + 1)]


def test_queue_has_an_end(new_broker: NewBroker, caplog: pytest.LogCaptureFixture) -> None:
    """Without a broker 2,000 messages wait, and arrive later; what is beyond is told and counted."""
    broker = new_broker()
    ear = Ear()
    with session(broker.port, ear, version="5") as own:
        numbers = {own.publish("out/a", b"") for _ in range(2000)}
        assert ("dropped" in caplog.text, ear.refusals) == (False, 0)
        own.publish("out/b", b"")
        assert "dropped a message for 'out/b'" in caplog.text
        assert ear.refusals == 1
        broker.start()
        wait_until(lambda: not numbers.difference_update(own.delivered()) and not numbers, "all arrive")


def test_pauses_differ() -> None:
    """Each client pauses for its own time, so that many don't come back in step."""
    drawn = [pauses() for _ in range(20)]
    assert len({shortest for shortest, _ in drawn}) == len({longest for _, longest in drawn}) == 20
    assert all(1 <= shortest <= 2 and 8 <= longest <= 16 for shortest, longest in drawn)
