from typing import Any

import pytest

from monitor.core.messages import MessageProperties
from monitor.mqtt.client import reconnect_delays
from tests.conftest import BrokerFactory, Mosquitto, wait_until
from tests.monitor.mqtt.recording_listener import (
    RecordingListener,
    scripted_broker,
    session,
    wait_until_ready,
)
from tests.support.processes import connect_client

MIB = 1024 * 1024


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_previous_subscriptions_end(mosquitto: Mosquitto, version: str) -> None:
    """What an earlier run subscribed to and this one doesn't no longer comes; what both do comes."""
    listener = RecordingListener()
    options: dict[str, Any] = {"durable": True, "version": version}
    with session(
        mosquitto.port, RecordingListener(), filters=["old/+", "in/+"], request_filter="r/#", **options
    ) as before:
        wait_until_ready(before)
        assert before.subscriptions == ("r/#", "old/+", "in/+")
    with (
        connect_client(mosquitto.port) as other,
        session(mosquitto.port, listener, filters=["in/+"], previous_filters=before.subscriptions, **options) as own,
    ):
        wait_until_ready(own)
        for topic in ("old/a", "r/a", "in/a"):
            other.publish(topic, b"")
        wait_until(lambda: "in/a" in [topic for topic, _, _ in listener.messages], "the message comes in")
        assert [topic for topic, _, _ in listener.messages] == ["in/a"]


def test_ack_tokens_of_another_session_are_ignored(mosquitto: Mosquitto) -> None:
    """A receipt acknowledges nothing of a session that follows in the same process."""
    first, second = RecordingListener(), RecordingListener()
    options: dict[str, Any] = {"filters": ["in/+"], "durable": True}
    with connect_client(mosquitto.port) as other:
        with session(mosquitto.port, first, **options) as own:
            wait_until_ready(own)
            other.publish("in/a", b"hello")
            wait_until(lambda: first.messages, "the message comes in")
        for _ in range(2):
            with session(mosquitto.port, second, **options) as own:
                wait_until_ready(own)
                wait_until(lambda: second.messages, "it comes again")
                own.acknowledge([first.messages[0][2]])
                number = own.publish("out", b"")  # confirmed only after what we sent before was read
                wait_until(lambda own=own, number=number: number in own.delivered(), "the broker read it")
        wait_until(lambda: len(second.messages) == 2, "it was not acknowledged")


def test_requests(mosquitto: Mosquitto) -> None:
    """A request comes as one and not as a reading, and again until it is acknowledged."""
    listener, asker = RecordingListener(), RecordingListener()
    options: dict[str, Any] = {"filters": ["in/+"], "requests": "base/request/#", "durable": True}
    with (
        session(mosquitto.port, asker, "asker", filters=["answers"]),
        connect_client(mosquitto.port) as other,
    ):
        with session(mosquitto.port, listener, **options) as own:
            wait_until_ready(own)
            other.publish("base/request/reload", b"plain")
            wait_until(lambda: len(listener.requests) == 1, "the request comes")
        with session(mosquitto.port, listener, **options) as own:
            wait_until(lambda: len(listener.requests) == 2, "it wasn't acknowledged, so it comes again")
            own.acknowledge(listener.request_ack_tokens[-1:])
        with session(mosquitto.port, listener, **options) as own:
            wait_until_ready(own)
            other.publish("base/request", b"bare")
            wait_until(lambda: len(listener.requests) == 3, "the next one comes, and the first is done with")
    assert listener.requests == [
        ("base/request/reload", b"plain", None, None),
        ("base/request/reload", b"plain", None, None),
        ("base/request", b"bare", None, None),
    ]
    assert listener.messages == []


def encode_string(text: str) -> bytes:
    """Return a text as MQTT writes it."""
    return len(text).to_bytes(2, "big") + text.encode()


@pytest.mark.parametrize(
    ("topic", "response_topic"), [("answers/me", "answers/me"), ("a/#", None), ("a/+", None)]
)
def test_request_that_wants_an_answer(topic: str, response_topic: str | None) -> None:
    """Response topic and correlation are told; a topic to which nobody can publish counts as none."""
    listener = RecordingListener()
    properties = b"\x08" + encode_string(topic) + b"\x09" + encode_string("42")
    body = encode_string("base/request/x") + bytes([len(properties)]) + properties + b"please"
    request = b"\x30" + bytes([len(body)]) + body
    with (
        scripted_broker(lambda _: b"\x20\x03\x00\x00\x00" + request) as port,
        session(port, listener, request_filter="base/request/#", version="5"),
    ):
        wait_until(lambda: listener.requests, "the request comes")
    assert listener.requests == [("base/request/x", b"please", response_topic, b"42")]


def test_answer_bears_correlation(mosquitto: Mosquitto) -> None:
    """An answer bears the correlation of its request where the protocol has a place for it."""
    listener = RecordingListener()
    with session(mosquitto.port, listener, "asker", request_filter="answers/#") as asker:
        wait_until_ready(asker)
        for version in ("5", "3.1.1"):
            with session(mosquitto.port, RecordingListener(), version=version) as own:
                wait_until_ready(own)
                own.publish(
                    f"answers/{version}", b"", properties=MessageProperties(correlation_data=b"\x00\xff")
                )
                wait_until(
                    lambda: [r for r in listener.requests if r[0].endswith(version)], "the answer comes"
                )
    assert {topic: correlation for topic, _, _, correlation in listener.requests} == {
        "answers/5": b"\x00\xff",
        "answers/3.1.1": None,
    }


@pytest.mark.parametrize("option", [{"requests": "base/request/#"}, {"claim": "base/info"}])
def test_refused_optional_subscription(option: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """A refused subscription that one can do without is told, and the session is ready all the same."""
    answers = (
        lambda _: b"\x20\x02\x00\x00",
        lambda packet: b"\x90\x03" + packet[2:4] + b"\x80",
        lambda packet: b"\x90\x03" + packet[2:4] + b"\x00",
    )
    with (
        scripted_broker(*answers) as port,
        session(port, RecordingListener(), filters=["in/+"], version="3.1.1", **option) as own,
    ):
        wait_until_ready(own)
    (name,) = option.values()
    assert f"the broker refuses the subscription {name}: Unspecified error; all else works" in caplog.text


def test_too_large_packet(mosquitto: Mosquitto) -> None:
    """What is larger than 4 MiB never reaches us, and what follows does."""
    listener = RecordingListener()
    with session(mosquitto.port, listener, filters=["in/+"]) as own, connect_client(mosquitto.port) as other:
        wait_until_ready(own)
        other.publish("in/large", bytes(5 * MIB))
        other.publish("in/small", bytes(MIB + 1))
        wait_until(lambda: listener.messages, "the small one comes")
        assert [(topic, len(payload)) for topic, payload, _ in listener.messages] == [("in/small", MIB + 1)]


def test_publish_queue_is_bounded(new_broker: BrokerFactory, caplog: pytest.LogCaptureFixture) -> None:
    """Without a broker 2,000 messages wait, and arrive later; what is beyond is told and counted."""
    broker = new_broker()
    listener = RecordingListener()
    with session(broker.port, listener, version="5") as own:
        numbers = {own.publish("out/a", b"") for _ in range(2000)}
        assert ("dropped" in caplog.text, listener.refused_count) == (False, 0)
        own.publish("out/b", b"")
        assert "dropped a message for 'out/b'" in caplog.text
        assert listener.refused_count == 1
        broker.start()
        wait_until(lambda: not numbers.difference_update(own.take_delivered()) and not numbers, "all arrive")


def test_reconnect_delays_differ() -> None:
    """Each client pauses for its own time, so that many don't come back in step."""
    drawn = [reconnect_delays() for _ in range(20)]
    assert len({shortest for shortest, _ in drawn}) == len({longest for _, longest in drawn}) == 20
    assert all(1 <= shortest <= 2 and 8 <= longest <= 16 for shortest, longest in drawn)
