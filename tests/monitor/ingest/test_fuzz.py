import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.chaos.decode_checker import DecodeChecker
from tests.support.toy_bundle import NAMES

EXAMPLES = 10_000
"""Each example is checked in five variants: so 50,000 messages take 15 s; generating each would take 60 s."""
TOPIC = "plant/line1/station7/reading"
TOPICS = st.one_of(
    st.just(TOPIC),
    st.lists(st.sampled_from(["plant", "line", "", "reading", "+", "#", "\0", "é", "../.."])).map("/".join),
    st.text(),
)
NUMBERS = st.one_of(
    st.floats(),
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.sampled_from([1e12, -1e308, 1.7e9, 1.7e12]),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(NUMBERS, st.none(), st.booleans(), st.text(), st.just("2026-01-01T00:00:00Z")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)
ANYTHING = st.one_of(st.floats(-50, 100), NUMBERS, VALUES)
OBJECTS = st.fixed_dictionaries({}, optional=dict.fromkeys(["ts", *NAMES], ANYTHING))
VALID_OBJECTS = st.fixed_dictionaries({name: st.floats(-50, 100) for name in NAMES}, optional={"ts": NUMBERS})


TEXTS = st.one_of(
    VALID_OBJECTS, OBJECTS, st.lists(st.one_of(VALID_OBJECTS, OBJECTS, VALUES), max_size=4), VALUES
).map(lambda content: json.dumps(content).encode())
PAYLOADS = st.one_of(TEXTS, TEXTS, TEXTS, st.binary())
DECODER = DecodeChecker()


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(topic=TOPICS, payload=PAYLOADS, position=st.integers(0, 200), inserted=st.binary(max_size=4))
def test_any_message(topic: str, payload: bytes, position: int, inserted: bytes) -> None:
    """No message raises an error, and each element gives one finite reading or one rejection."""
    DECODER.check(topic, payload)
    DECODER.check(TOPIC, payload[:position])
    DECODER.check(TOPIC, payload[:position] + inserted + payload[position:])
    DECODER.check(TOPIC, payload[:position] + inserted + payload[position + len(inserted) :])
    DECODER.check(TOPIC, b"[" + payload + b"," + inserted + b"]")


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b"[" + b"9" * 1_000_000,
        b'{"ts":' + b"1" * 5000 + b"}",
        b"\xff\xfe" * 400_000,
        b"[" + b",".join([b"{}"] * 300_000) + b"]",
        bytes(100_000_000),
        b"[" + b"0," * 50_000_000 + b"0]",
    ],
    ids=["brackets", "objects", "number", "long-ts", "no-utf-8", "many", "100-MB", "100-MB-array"],
)
def test_huge_payload(payload: bytes) -> None:
    """Huge or deeply nested payloads, up to 100 MB, are rejected like any other invalid payload."""
    readings, rejections = DECODER.check(TOPIC, payload)
    assert (readings, rejections > 0) == (0, True)
