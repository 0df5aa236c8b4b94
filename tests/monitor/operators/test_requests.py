import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.operators.requests import Acknowledge, RequestRejected, Silence, parse_request, response_payload


def test_parse_request() -> None:
    """A request is parsed with its transaction, which may be any JSON value."""
    silence = parse_request(
        "silence", b'{"group":"a/*","minutes":1.5,"transaction":{"a":[1]}}', retained=False
    )
    assert silence == Silence(group="a/*", minutes=1.5, transaction={"a": [1]})
    assert parse_request("acknowledge", b'{"incident":"a:1"}', retained=False) == Acknowledge(incident="a:1")


@pytest.mark.parametrize(
    ("name", "payload", "message"),
    [
        ("silence", b"", "missing required field `group`"),
        ("silence", b'{"group":"a"}', "missing required field `minutes`"),
        (
            "silence",
            b'{"group":"a","minutes":-1}',
            "can't last -1 minutes; expected the minutes from now, or 0",
        ),
        ("silence", b'{"group":"a","minutes":-0.001}', "can't last -0.001 minutes"),
        ("silence", b'{"group":"a","minutes":1e308}', "can't last 1e+308 minutes; expected the minutes"),
        ("silence", b'{"group":"a","minutes":1e400}', "can't be read: "),
        ("silence", b'{"group":"a","minutes":Infinity}', "can't be read: "),
        ("silence", b'{"group":"a","minutes":NaN}', "can't be read: "),
        ("silence", b'{"group":"a","minutes":"5"}', "Expected `float`, got `str` - at `$.minutes`"),
        ("silence", b'{"group":"a","minutes":true}', "Expected `float`, got `bool`"),
        ("silence", b'{"group":["a"],"minutes":1}', "Expected `str`, got `array` - at `$.group`"),
        ("silence", b'{"group":"a","minutes":1,"hours":1}', "unknown field `hours`"),
        ("acknowledge", b"{}", "names no group and no incident, or both"),
        ("false-alarm", b'{"group":"a","incident":"a:1"}', "names no group and no incident, or both"),
        ("reload", b"7", "no JSON object"),
        ("reload", b"\xff", "can't be read"),
        ("reload", b'{"transaction":"\\ud800"}', "can't be read"),
        ("reload", b"[" * 4000, "can't be read"),
        ("reload", b" " * 4097, "has 4097 bytes, expected at most 4096"),
        (
            "x" * 1000,
            b"",
            f"no request {'x' * 100!r}; expected acknowledge, silence, false-alarm, forget, reload",
        ),
    ],
)
def test_rejected(name: str, payload: bytes, message: str) -> None:
    """An invalid request is rejected with the problem and the expected content."""
    with pytest.raises(RequestRejected) as rejection:
        parse_request(name, payload, retained=False)
    assert message in str(rejection.value)


def test_retained() -> None:
    """A retained request is rejected, with its transaction: each connection would bring it again."""
    with pytest.raises(RequestRejected, match="the request is retained") as rejection:
        parse_request("reload", b'{"transaction":7}', retained=True)
    assert rejection.value.transaction == 7


@settings(derandomize=True, deadline=None)
@given(
    name=st.sampled_from(["silence", "acknowledge", "false-alarm", "forget", "reload"]), payload=st.binary()
)
def test_any_bytes(name: str, payload: bytes) -> None:
    """Any payload is parsed or rejected, and the rejection can be encoded."""
    try:
        parse_request(name, payload, retained=False)
    except RequestRejected as rejection:
        assert json.loads(response_payload(rejection.transaction, str(rejection)))["status"] == "error"  # noqa: PT017
