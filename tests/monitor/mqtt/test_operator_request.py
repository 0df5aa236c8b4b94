"""When a request is acknowledged, and when it is refused without an answer."""

from typing import Any

import pytest

from monitor.core.messages import InboundRequest
from monitor.mqtt.operator_request import receive_operator_request

TOKEN = (1, 7, 1)


class RecordingSession:
    """Records what is published and acknowledged, in order."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def publish(self, topic: str, *_: Any, **__: Any) -> None:
        self.events.append(topic)

    def acknowledge(self, ack_tokens: list[object]) -> None:
        self.events += [token for token in ack_tokens if token is not None]


def request(**changes: Any) -> InboundRequest:
    """Return a request as it comes from a session."""
    fields = {"topic": "base/request/silence", "payload": b"{}", "ack_token": TOKEN, "retained": False}
    return InboundRequest(**{**fields, "response_topic": None, "correlation_data": None, **changes})


@pytest.mark.parametrize(
    ("delivery", "before", "after"),
    [(1, [], ["base/response/silence", TOKEN]), (2, [TOKEN], ["base/response/silence"])],
)
def test_order_of_answer_and_acknowledgement(
    delivery: int, before: list[object], after: list[object]
) -> None:
    """The first delivery is acknowledged after its answer; the second before the request is done."""
    session: Any = RecordingSession()
    received = receive_operator_request(request(delivery=delivery), "base", session)
    assert received is not None
    assert session.events == before
    received.respond(b"{}")
    assert session.events == before + after


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"delivery": 3}, "it was delivered 3 times, and the connection ended each time"),
        ({"problem": "its properties are odd"}, "its properties are odd"),
    ],
)
def test_refused_without_an_answer(changes: dict[str, Any], reason: str) -> None:
    """A request that can't be answered, or comes a third time, is acknowledged and not done."""
    session: Any = RecordingSession()
    received = receive_operator_request(request(**changes), "base", session)
    assert received is not None
    assert received.problem == reason
    assert not received.is_answerable
    received.respond(b"{}")
    assert session.events == [TOKEN]


@pytest.mark.parametrize(
    ("below", "is_taken"),
    [
        ("a" * 1010, True),
        ("a" * 1011, False),  # 1,025 bytes with the prefix
        ("a/" * 97 + "a", True),
        ("a/" * 98 + "a", False),  # 101 levels
        ("+", False),
    ],
)
def test_response_topics(below: str, is_taken: bool) -> None:  # noqa: FBT001, a parameter of the test
    """A response topic that is too long, too deep or no topic isn't used, and the request isn't done."""
    session: Any = RecordingSession()
    topic = f"base/response/{below}"
    received = receive_operator_request(request(response_topic=topic), "base", session)
    assert received is not None
    assert (not received.problem) == is_taken
    received.respond(b"{}")
    assert session.events == [topic if is_taken else "base/response/silence", TOKEN]
