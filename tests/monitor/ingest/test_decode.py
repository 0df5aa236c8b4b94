import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.messages import RETAIN_FLAG, InboundMessage
from monitor.core.readings import Arrivals, Outcome, Readings, RejectedReading
from monitor.core.topics import OwnTopics, Template
from monitor.ingest.decode import DecodeStage
from tests.support.toy_bundle import NAMES

QUICK = settings(derandomize=True, deadline=None, max_examples=150)
TOPIC = "plant/line1/station7/reading"
ARRIVED_AT = 1.7e9
VALID_PAYLOAD = {"ts": 1700000000.5, **dict(zip(NAMES, [20.0, 50, 20.5, 50.25], strict=True))}


def _stage(fields: Mapping[str, str] | None = None) -> DecodeStage:
    return DecodeStage(
        [Template("plant/{line}/{station}/reading")], NAMES, fields or {}, OwnTopics("sensor-monitor")
    )


def _message(payload: bytes, topic: str = TOPIC, flags: int = 0) -> InboundMessage:
    return topic, payload, None, flags


def _arrivals(count: int, wall_clock: float = ARRIVED_AT) -> Arrivals:
    return Arrivals(np.full(count, wall_clock), np.full(count, ARRIVED_AT), np.full(count, 7.0))


def _decode_batch(
    stage: DecodeStage, messages: list[InboundMessage], arrivals: Arrivals
) -> tuple[Readings, list[RejectedReading]]:
    decoded = stage.decode(messages, arrivals)
    return decoded.readings, decoded.rejected


def _decode(
    payload: Any, fields: Mapping[str, str] | None = None, topic: str = TOPIC
) -> tuple[Readings, list[RejectedReading]]:
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return _decode_batch(_stage(fields), [_message(content, topic)], _arrivals(1))


def _rejection_reason(payload: Any) -> str:
    """Decode a payload that must be malformed, and return the reason."""
    readings, rejected = _decode(payload)
    assert len(readings.groups) == len(readings.ts) == len(readings.values) == 0
    (rejection,) = rejected
    assert (rejection.outcome, rejection.source) == (Outcome.MALFORMED, TOPIC)
    return rejection.reason


def test_one_reading() -> None:
    """An object gives one reading: group, event time, features in the bundle's order, arrival times."""
    reordered = dict(reversed(VALID_PAYLOAD.items()))
    readings, rejected = _decode(reordered)
    assert rejected == []
    assert readings.groups == ["line1/station7"]
    assert readings.ts.tolist() == [1700000000.5]
    assert readings.values.tolist() == [[20.0, 50.0, 20.5, 50.25]]
    assert (readings.arrived_at.tolist(), readings.arrived_monotonic.tolist()) == ([ARRIVED_AT], [7.0])


def test_clock_set_back() -> None:
    """After the clock was set back, a reading without ts is not ahead of its arrival; one with ts may be."""
    without_ts = {name: value for name, value in VALID_PAYLOAD.items() if name != "ts"}
    messages = [_message(json.dumps(payload).encode()) for payload in (without_ts, VALID_PAYLOAD)]
    readings, _ = _decode_batch(_stage(), messages, _arrivals(2, ARRIVED_AT - 3600))
    assert readings.ts.tolist() == [ARRIVED_AT, VALID_PAYLOAD["ts"]]
    assert readings.arrived_at.tolist() == [ARRIVED_AT, ARRIVED_AT - 3600]


def test_order_of_a_batch() -> None:
    """Readings keep the order of arrival, also when messages between them are rejected."""
    payloads = [json.dumps({**VALID_PAYLOAD, "ts": ts}).encode() for ts in (3, 1, 2)]
    messages = [_message(payload) for payload in payloads]
    messages.insert(1, _message(payloads[0], "other"))
    messages.insert(3, _message(b"{}"))
    readings, rejected = _decode_batch(_stage(), messages, _arrivals(5))
    assert readings.ts.tolist() == [3, 1, 2]
    assert [rejection.outcome for rejection in rejected] == [Outcome.UNMATCHED, Outcome.MALFORMED]


def test_no_messages() -> None:
    """An empty batch gives empty arrays of the right shape."""
    readings, rejected = _decode_batch(_stage(), [], _arrivals(0))
    assert (readings.values.shape, rejected) == ((0, 4), [])


@pytest.mark.parametrize(
    ("ts", "seconds"),
    [
        (0, 0.0),
        (1700000000, 1.7e9),
        (1700000000.25, 1700000000.25),
        (1e11, 1e11),
        (100000000001, 100000000.001),
        (1700000000250, 1700000000.25),
        ("2023-11-14T22:13:20", 1.7e9),
        ("2023-11-14T22:13:20Z", 1.7e9),
        ("2023-11-14 22:13:20.25", 1700000000.25),
        ("2023-11-15T00:13:20+02:00", 1.7e9),
        ("2023-11-14", 1699920000.0),
    ],
)
def test_ts(ts: object, seconds: float) -> None:
    """Event time is seconds, milliseconds above 1e11, or ISO 8601, which is UTC unless it has a zone."""
    readings, rejected = _decode({**VALID_PAYLOAD, "ts": ts})
    assert (readings.ts.tolist(), rejected) == ([seconds], [])


@pytest.fixture
def tokyo_timezone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose local time is nine hours ahead of UTC."""
    monkeypatch.setenv("TZ", "UTC-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("tokyo_timezone")
def test_ts_does_not_depend_on_local_timezone() -> None:
    """An event time without a zone is UTC, whatever the local time zone."""
    assert _decode({**VALID_PAYLOAD, "ts": "2023-11-14T22:13:20"})[0].ts.tolist() == [1.7e9]


@pytest.mark.parametrize(
    "ts", [None, True, -1, 1e18, [], {}, "", "yesterday", "1969-12-31T23:59:59", "25:00"]
)
def test_invalid_ts(ts: object) -> None:
    """An event time of another type or format, before 1970 or after 9999 makes a reading malformed."""
    assert "ts" in _rejection_reason({**VALID_PAYLOAD, "ts": ts})


@pytest.mark.parametrize("ts", ["1700000000", "1700000000.5", " 1700000000 ", "1700000000250"])
def test_ts_in_quotes(ts: str) -> None:
    """A number in quotes is not a valid event time, and the reason says so."""
    assert (
        _rejection_reason({**VALID_PAYLOAD, "ts": ts})
        == f"ts is {ts!r}, a number in quotes; expected a number or ISO 8601"
    )


def test_ts_absent() -> None:
    """A reading without event time gets its arrival time."""
    readings, rejected = _decode({name: VALID_PAYLOAD[name] for name in NAMES})
    assert (readings.ts.tolist(), rejected) == ([ARRIVED_AT], [])


def test_ts_absent_in_an_array() -> None:
    """An element of an array without event time is malformed, also if it is the only element."""
    assert "no ts" in _rejection_reason([{name: VALID_PAYLOAD[name] for name in NAMES}])


def test_array() -> None:
    """Each element of an array is one reading; an invalid element does not reject the valid ones."""
    elements = [
        VALID_PAYLOAD,
        {**VALID_PAYLOAD, "ts": 5},
        7,
        {**VALID_PAYLOAD, "humidity_1": "wet"},
        [VALID_PAYLOAD],
        {**VALID_PAYLOAD, "ts": 6},
    ]
    readings, rejected = _decode(elements)
    assert readings.ts.tolist() == [VALID_PAYLOAD["ts"], 5, 6]
    assert [rejection.outcome for rejection in rejected] == [Outcome.MALFORMED] * 3
    assert "humidity_1" in rejected[1].reason


def test_many_invalid_elements() -> None:
    """A message with more than 100 invalid elements is refused whole, and counts once."""
    readings, rejected = _decode([VALID_PAYLOAD, *[7] * 100])
    assert (len(readings.ts), len(rejected)) == (1, 100)
    assert "more than 100 elements" in _rejection_reason([VALID_PAYLOAD, *[7] * 101])


def test_many_elements() -> None:
    """A message with more than 10,000 readings is refused whole, valid or not."""
    element = json.dumps(VALID_PAYLOAD, separators=(",", ":")).encode()
    readings, rejected = _decode(b"[%s]" % b",".join([element] * 10_000))
    assert (len(readings.ts), len(rejected)) == (10_000, 0)
    assert "10001 readings" in _rejection_reason(b"[%s]" % b",".join([element] * 10_001))


@pytest.mark.parametrize(
    "payload",
    [
        b"[" + b"0," * 500_000 + b"0]",
        b"[" + b"{}," * 300_000 + b"{}]",
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b'["' + b'",,,"' * 200_000 + b'"]',
        b"[" + b"0," * 140_000 + b" " * 700_000 + b"0]",
    ],
)
def test_hostile_payload(payload: bytes) -> None:
    """A payload of 1 MiB of the worst kinds is one malformed reading."""
    assert _rejection_reason(payload)


def test_empty_array() -> None:
    """An empty array counts as one malformed reading; otherwise the message would not be counted at all."""
    assert "empty array" in _rejection_reason([])


@pytest.mark.parametrize("value", ["20.5", "", None, True, [20.5], {"v": 20.5}])
@pytest.mark.parametrize("name", NAMES)
def test_feature_that_is_no_number(name: str, value: object) -> None:
    """A feature that is not a number makes a reading malformed, and the reason names it."""
    assert name in _rejection_reason({**VALID_PAYLOAD, name: value})


def test_value_in_quotes() -> None:
    """The reason for a value in quotes hints that it may be a number in quotes, also in an array."""
    quoted = {**VALID_PAYLOAD, "humidity_1": "50.0"}
    assert "a number in quotes?" in _rejection_reason(quoted)
    assert "a number in quotes?" in _rejection_reason([quoted])
    assert "quotes" not in _rejection_reason({**VALID_PAYLOAD, "humidity_1": None})


@pytest.mark.parametrize("text", ["unavailable", "NaN", "1,5", "x" * 100])
def test_text_as_value(text: str) -> None:
    """The reason for text in place of a value shows the text, shortened, and no hint at quotes."""
    for payload in ({**VALID_PAYLOAD, "humidity_1": text}, [{**VALID_PAYLOAD, "humidity_1": text}]):
        reason = _rejection_reason(payload)
        assert "humidity_1" in reason
        assert reason.endswith(f": {text[:40]!r} is no number")


@pytest.mark.parametrize("literal", ["NaN", "nan", "-Infinity", "inf"])
def test_number_that_json_does_not_have(literal: str) -> None:
    """The reason for NaN or an infinity names the feature, also in an array."""
    payload = json.dumps({**VALID_PAYLOAD, "humidity_1": "X"}).replace('"X"', literal)
    assert _rejection_reason(payload.encode()).endswith(f": humidity_1 is {literal}?")
    assert _rejection_reason(f"[{payload}]".encode()).endswith(f": humidity_1 is {literal}?")


def test_key_in_another_case() -> None:
    """The reason for a missing feature names a key that differs in upper and lower case only."""
    others = {name: value for name, value in VALID_PAYLOAD.items() if name != "humidity_1"}
    assert _rejection_reason({**others, "Humidity_1": 50}).endswith("`humidity_1`: it has 'Humidity_1'")
    assert _rejection_reason([{**others, "Humidity_1": 50}]).endswith("`humidity_1`: it has 'Humidity_1'")
    _, (rejection,) = _decode({**others, "data": {"RH": 50}}, {"humidity_1": "data.rh"})
    assert rejection.reason.endswith("field `rh` - at `$.data`: it has 'RH'")
    _, (rejection,) = _decode({**others, "Data": {"rh": 50}}, {"humidity_1": "data.rh"})
    assert rejection.reason.endswith("field `data`: it has 'Data'")


@pytest.mark.parametrize("payload", [VALID_PAYLOAD, [VALID_PAYLOAD, {**VALID_PAYLOAD, "ts": 1700000005}]])
def test_padding(payload: Any) -> None:
    """A byte order mark before a payload and a NUL behind it don't matter."""
    content = json.dumps(payload).encode()
    expected = _decode(content)[0].ts.tolist()
    for padded in (content + b"\0", b"\xef\xbb\xbf" + content, b"\xef\xbb\xbf" + content + b"\0"):
        readings, rejected = _decode(padded)
        assert (readings.ts.tolist(), rejected) == (expected, [])


@pytest.mark.parametrize("padding", [b"\0" * 2, b"\0" * 5000])
def test_much_padding(padding: bytes) -> None:
    """More than one NUL is malformed."""
    _rejection_reason(json.dumps(VALID_PAYLOAD).encode() + padding)
    _rejection_reason(padding)


@pytest.mark.parametrize("name", NAMES)
def test_feature_missing(name: str) -> None:
    """A missing feature makes a reading malformed, and the reason names it."""
    assert name in _rejection_reason({key: value for key, value in VALID_PAYLOAD.items() if key != name})


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1.1e12", "-1.1e12"])
def test_not_finite_or_too_large(literal: str) -> None:
    """NaN, infinities and numbers beyond 1e12 make a reading malformed."""
    assert _rejection_reason(
        json.dumps({**VALID_PAYLOAD, "humidity_1": "X"}).replace('"X"', literal).encode()
    )


def test_largest_value() -> None:
    """A value may be as large as 1e12 and as small as -1e12."""
    readings, _ = _decode({**VALID_PAYLOAD, "humidity_1": 1e12, "humidity_2": -1e12})
    assert readings.values[0].tolist() == [20.0, 1e12, 20.5, -1e12]


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"null", b"7", b'"x"', b"\xff\xfe", b"{}" + b"x", b"[" * 100_000, b'{"a":' * 100_000],
)
def test_unreadable(payload: bytes) -> None:
    """A payload that is no JSON object or array is one malformed reading; an empty one has its own reason."""
    assert ("the payload is empty" in _rejection_reason(payload)) == (payload == b"")


def test_payload_too_large() -> None:
    """A payload of more than 1 MiB is malformed, even if its content is valid."""
    payload = json.dumps(VALID_PAYLOAD).encode()
    padding = (1 << 20) - len(payload)
    assert _decode(payload + b" " * padding)[1] == []
    assert "1048577 bytes" in _rejection_reason(payload + b" " * (padding + 1))


@pytest.mark.parametrize("topic", ["plant/a/reading", "plant//b/reading", f"plant/a/{'b' * 986}/reading"])
def test_unmatched(topic: str) -> None:
    """A topic that matches no template, or is too long, is unmatched once, whatever its payload holds."""
    readings, (rejection,) = _decode([VALID_PAYLOAD, VALID_PAYLOAD], topic=topic)
    assert len(readings.groups) == 0
    assert (rejection.outcome, rejection.source) == (Outcome.UNMATCHED, topic[:1000])


def test_dotted_paths() -> None:
    """Features and ts are read from dotted paths, whose keys may be any text; other keys are ignored."""
    fields = {"temperature_1": "data.t-1", "temperature_2": "data.class.2", "ts": "meta.event time"}
    payload = {
        "data": {"t-1": 1, "class": {"2": 3}, "temperature_1": 9},
        "meta": {"event time": 5},
        "humidity_1": 2,
        "humidity_2": 4,
        "temperature_1": 9,
        "ts": 9,
    }
    readings, rejected = _decode(payload, fields)
    assert (readings.ts.tolist(), readings.values.tolist(), rejected) == ([5], [[1, 2, 3, 4]], [])


def test_missing_dotted_path() -> None:
    """A payload without the object that a dotted path goes through is malformed."""
    readings, rejected = _decode(VALID_PAYLOAD, {"temperature_1": "data.t1"})
    assert len(readings.groups) == 0
    assert "data" in rejected[0].reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"temperature_3": "t3"}, "'temperature_3' is no feature of the bundle; expected temperature_1"),
        ({"temperature_1": "humidity_1"}, "would stand for"),
        ({"temperature_1": "ts"}, "would stand for"),
        ({"temperature_1": "x", "temperature_2": "x"}, "would stand for"),
        ({"temperature_1": "a", "temperature_2": "a.b"}, "goes through the value of 'temperature_1'"),
        ({"temperature_1": "a.b", "temperature_2": "a"}, "would stand for"),
        ({"temperature_1": ""}, "has an empty part"),
        ({"temperature_1": "a..b"}, "has an empty part"),
        ({"temperature_1": ".a"}, "has an empty part"),
        ({"temperature_1": "a."}, "has an empty part"),
    ],
)
def test_invalid_fields(fields: dict[str, str], reason: str) -> None:
    """Fields that name no feature, or whose paths collide, are rejected when the stage is built."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        _stage(fields)


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(), st.just(10**400), st.just(1e12)
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=5))
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
ELEMENTS = st.one_of(
    st.just(VALID_PAYLOAD),
    JSON,
    st.fixed_dictionaries(
        {name: st.floats(-100, 100) | JSON for name in NAMES}, optional={"ts": st.integers(0, 10**13) | JSON}
    ),
)
PAYLOADS = st.one_of(ELEMENTS, st.lists(ELEMENTS, max_size=5))


STAGE = _stage()


def _count_outcomes(messages: list[InboundMessage]) -> int:
    readings, rejected = _decode_batch(STAGE, messages, _arrivals(len(messages)))
    assert all(map(math.isfinite, [*readings.ts, *readings.values.flat]))
    assert all(rejection.reason for rejection in rejected)
    assert len(readings.groups) == len(readings.ts) == len(readings.values) == len(readings.arrived_monotonic)
    return len(readings.groups) + len(rejected)


@QUICK
@given(st.lists(PAYLOADS, max_size=5))
def test_each_element_has_one_outcome(payloads: list[Any]) -> None:
    """Each element of an array has exactly one outcome, and so has each message that is no array."""
    batch = [_message(json.dumps(payload).encode()) for payload in payloads]
    elements = [len(payload) if isinstance(payload, list) and payload else 1 for payload in payloads]
    assert _count_outcomes(batch) == sum(elements)


@pytest.mark.parametrize("other_messages", [0, 20])
def test_retained(other_messages: int) -> None:
    """A retained message with `ts` is a reading that is marked as retained; one without is `retained`."""
    without_ts = json.dumps({name: VALID_PAYLOAD[name] for name in NAMES}).encode()
    with_ts = json.dumps(VALID_PAYLOAD).encode()
    messages = [_message(without_ts)] * other_messages
    messages += [_message(without_ts, flags=RETAIN_FLAG), _message(with_ts, flags=RETAIN_FLAG)]
    readings, (rejection,) = _decode_batch(_stage(), messages, _arrivals(len(messages)))
    assert (rejection.outcome, rejection.source) == (Outcome.RETAINED, TOPIC)
    assert "without ts" in rejection.reason
    assert readings.retained is not None
    assert readings.retained.tolist() == [False] * other_messages + [True]


def test_malformed_retained_message() -> None:
    """A retained message that can't be read is malformed, as any other."""
    values = {**dict.fromkeys(NAMES, 20.0), NAMES[0]: 1e13}
    for payload in (b"", b"{}", json.dumps(values).encode()):
        _, (rejection,) = _decode_batch(_stage(), [_message(payload, flags=RETAIN_FLAG)], _arrivals(1))
        assert rejection.outcome == Outcome.MALFORMED
