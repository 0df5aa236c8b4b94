from typing import Any

import pytest

from monitor.core.messages import MessageProperties
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
    """Only filters of an earlier session that this one subscribes to again deliver messages."""
    listener = RecordingListener()
    options: dict[str, Any] = {"durable": True, "version": version}
    with session(
        mosquitto.port, RecordingListener(), filters=["old/+", "in/+"], request_filters=["r/#"], **options
    ) as previous:
        wait_until_ready(previous)
        assert previous.subscriptions == ("r/#", "old/+", "in/+")
    options["previous_filters"] = previous.subscriptions
    with (
        connect_client(mosquitto.port) as other,
        session(mosquitto.port, listener, filters=["in/+"], **options) as own,
    ):
        wait_until_ready(own)
        for topic in ("old/a", "r/a", "in/a"):
            other.publish(topic, b"")
        wait_until(lambda: "in/a" in [topic for topic, _, _ in listener.messages], "the message arrives")
        assert [topic for topic, _, _ in listener.messages] == ["in/a"]


def test_ack_tokens_of_another_session_are_ignored(mosquitto: Mosquitto) -> None:
    """A token acknowledges nothing in a later session of the same process."""
    first, second = RecordingListener(), RecordingListener()
    options: dict[str, Any] = {"filters": ["in/+"], "durable": True}
    with connect_client(mosquitto.port) as other:
        with session(mosquitto.port, first, **options) as own:
            wait_until_ready(own)
            other.publish("in/a", b"hello")
            wait_until(lambda: first.messages, "the message arrives")
        for _ in range(2):
            with session(mosquitto.port, second, **options) as own:
                wait_until_ready(own)
                wait_until(lambda: second.messages, "it arrives again")
                own.acknowledge([first.messages[0][2]])
                message_id = own.publish("out", b"")  # confirmed after the broker has read all sent before
                wait_until(
                    lambda own=own, message_id=message_id: message_id in own.take_delivered(),
                    "the broker confirms",
                )
        wait_until(lambda: len(second.messages) == 2, "it was not acknowledged")


def test_requests(mosquitto: Mosquitto) -> None:
    """A request is delivered as a request, not as a reading, and again until it is acknowledged."""
    listener, requester = RecordingListener(), RecordingListener()
    options: dict[str, Any] = {"filters": ["in/+"], "request_filters": ["base/request/#"], "durable": True}
    with (
        session(mosquitto.port, requester, "requester", filters=["answers"]),
        connect_client(mosquitto.port) as other,
    ):
        with session(mosquitto.port, listener, **options) as own:
            wait_until_ready(own)
            other.publish("base/request/reload", b"plain")
            wait_until(lambda: len(listener.requests) == 1, "the request arrives")
        with session(mosquitto.port, listener, **options) as own:
            wait_until(lambda: len(listener.requests) == 2, "it was not acknowledged, so it arrives again")
            wait_until_ready(own)
            own.acknowledge(listener.request_ack_tokens[-1:])
        with session(mosquitto.port, listener, **options) as own:
            wait_until_ready(own)
            other.publish("base/request", b"bare")
            wait_until(lambda: len(listener.requests) == 3, "only the next one arrives")
    assert listener.requests == [
        ("base/request/reload", b"plain", None, None),
        ("base/request/reload", b"plain", None, None),
        ("base/request", b"bare", None, None),
    ]
    assert listener.messages == []


def encode_string(text: str) -> bytes:
    """Return a text in MQTT's encoding: its length in two bytes, then UTF-8."""
    return len(text).to_bytes(2, "big") + text.encode()


@pytest.mark.parametrize("topic", ["answers/me", "a/#", "a/+"])
def test_request_that_wants_an_answer(topic: str) -> None:
    """Response topic, whatever it is, and correlation data are passed on."""
    listener = RecordingListener()
    properties = b"\x08" + encode_string(topic) + b"\x09" + encode_string("42")
    body = encode_string("base/request/x") + bytes([len(properties)]) + properties + b"please"
    request = b"\x30" + bytes([len(body)]) + body
    with (
        scripted_broker(lambda _: b"\x20\x03\x00\x00\x00" + request) as port,
        session(port, listener, request_filters=["base/request/#"], version="5"),
    ):
        wait_until(lambda: listener.requests, "the request arrives")
    assert listener.requests == [("base/request/x", b"please", topic, b"42")]


def test_answer_bears_correlation(mosquitto: Mosquitto) -> None:
    """A response carries its request's correlation data in MQTT 5; MQTT 3.1.1 has no such property."""
    listener = RecordingListener()
    with session(mosquitto.port, listener, "requester", request_filters=["answers/#"]) as requester:
        wait_until_ready(requester)
        for version in ("5", "3.1.1"):
            with session(mosquitto.port, RecordingListener(), version=version) as own:
                wait_until_ready(own)
                own.publish(
                    f"answers/{version}", b"", properties=MessageProperties(correlation_data=b"\x00\xff")
                )
                wait_until(
                    lambda version=version: [r for r in listener.requests if r[0].endswith(version)],
                    "the response arrives",
                )
    assert {topic: correlation for topic, _, _, correlation in listener.requests} == {
        "answers/5": b"\x00\xff",
        "answers/3.1.1": None,
    }


@pytest.mark.parametrize(
    "option", [{"request_filters": ("base/request/#",)}, {"takeover_topic": "base/info"}]
)
def test_refused_optional_subscription(option: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """A refused optional subscription is logged, and the session is ready all the same."""
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
    name = "base/request/#" if "request_filters" in option else "base/info"
    assert (
        f"the broker refuses the subscription {name}: Unspecified error; readings are not affected"
        in caplog.text
    )


def test_too_large_packet(mosquitto: Mosquitto) -> None:
    """A packet larger than 4 MiB is not delivered; the next one is."""
    listener = RecordingListener()
    with session(mosquitto.port, listener, filters=["in/+"]) as own, connect_client(mosquitto.port) as other:
        wait_until_ready(own)
        other.publish("in/large", bytes(5 * MIB))
        other.publish("in/small", bytes(MIB + 1))
        wait_until(lambda: listener.messages, "the small one arrives")
        assert [(topic, len(payload)) for topic, payload, _ in listener.messages] == [("in/small", MIB + 1)]


def test_publish_queue_is_bounded(new_broker: BrokerFactory, caplog: pytest.LogCaptureFixture) -> None:
    """Without a broker 2,000 messages wait, and arrive later; more are dropped, logged and counted."""
    broker = new_broker()
    listener = RecordingListener()
    with session(broker.port, listener, version="5") as own:
        message_ids = {own.publish("out/a", b"") for _ in range(2000)}
        assert ("dropped" in caplog.text, listener.refused_count) == (False, 0)
        own.publish("out/b", b"")
        assert "dropped a message for 'out/b'" in caplog.text
        assert listener.refused_count == 1
        broker.start()
        wait_until(
            lambda: not message_ids.difference_update(own.take_delivered()) and not message_ids,
            "all are confirmed",
        )
