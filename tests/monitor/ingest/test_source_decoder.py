from typing import Any

import numpy as np
import pytest

from monitor.core.messages import DUP_FLAG, RETAIN_FLAG
from monitor.core.readings import Outcome
from monitor.core.values import ValueOutcome
from monitor.ingest.decoded_messages import DecodedMessages
from tests.monitor.ingest.sources import ARRIVED_AT, TOPIC, decode, decoder

ALL = {"temperature_1": 21.4, "humidity_1": 48.3, "temperature_2": 21.7, "humidity_2": 47.1}
NUMBER = {
    "topic": "{rack}/{feature}",
    "format": "number",
    "features": {"temperature_1": "tt", "humidity_1": "th"},
}
TOP = {"topic": "plant/{rack}", "features": {"temperature_1": "t", "humidity_1": "h"}}


def _values(decoded: DecodedMessages) -> list[tuple[str, int, float, float]]:
    """Return (group, index of the feature, ts, value) of each value."""
    values = decoded.values
    assert values is not None
    return list(zip(values.groups, values.features, values.ts, values.values, strict=True))


def _rejected_values(decoded: DecodedMessages) -> list[tuple[ValueOutcome, str, str]]:
    return [(value.outcome, value.source, value.reason) for value in decoded.rejected_values]


def test_reading() -> None:
    """A message with all features is a reading, and needs no alignment."""
    decoded = decode(decoder({}), (TOPIC, {"ts": 1.6e9, **ALL}))
    assert (decoded.readings.groups, decoded.readings.ts.tolist()) == (["rack3"], [1.6e9])
    assert decoded.readings.values.tolist() == [list(ALL.values())]
    assert _values(decoded) == []


def test_order_of_features() -> None:
    """A reading's values are in the bundle's order, whatever the order in the settings."""
    decoded = decode(decoder({"features": {name: name for name in reversed(ALL)}}), (TOPIC, ALL))
    assert decoded.readings.values.tolist() == [list(ALL.values())]


def test_values() -> None:
    """A message with some features gives a value of each."""
    decoded = decode(decoder(TOP), (TOPIC, {"ts": 1.6e9, "t": 21.4, "h": 48.3}))
    assert _values(decoded) == [("rack3", 0, 1.6e9, 21.4), ("rack3", 1, 1.6e9, 48.3)]
    assert len(decoded.readings.groups) == 0


def test_values_of_a_partial_source() -> None:
    """A partial source gives values even where a message has all features."""
    decoded = decode(decoder({"partial": True}), (TOPIC, ALL))
    assert len(_values(decoded)) == 4
    assert len(decoded.readings.groups) == 0


def test_arrival_as_ts() -> None:
    """A value without event time counts as measured when it arrived, and is never ahead of the clock."""
    decoded = decode(decoder(NUMBER), ("rack3/tt", b"21.4"))
    assert _values(decoded) == [("rack3", 0, ARRIVED_AT, 21.4)]
    assert decoded.values is not None
    assert decoded.values.arrived_at.tolist() == [ARRIVED_AT]


@pytest.mark.parametrize("payload", [b"21.4", b" 21.4\n", b"\xef\xbb\xbf21.4", b"+2.14e1", b"21.4\0"])
def test_plain_number(payload: bytes) -> None:
    """A plain number may have blanks, a byte order mark or a NUL around it."""
    assert _values(decode(decoder(NUMBER), ("rack3/tt", payload))) == [("rack3", 0, ARRIVED_AT, 21.4)]


@pytest.mark.parametrize("payload", [b"unavailable", b"nan", b"inf", b"1_0", b"1e13", b"", b"\xff", b"{}"])
def test_no_plain_number(payload: bytes) -> None:
    """Anything else on the topic of a plain number is malformed."""
    decoded = decode(decoder(NUMBER), ("rack3/tt", payload))
    assert _values(decoded) == []
    assert [outcome for outcome, _, _ in _rejected_values(decoded)] == [ValueOutcome.MALFORMED]


def test_absent_value() -> None:
    """An absent value is NaN, for the alignment to take as absent."""
    decoded = decode(decoder({**NUMBER, "absent": ["unavailable"]}), ("rack3/tt", b"unavailable"))
    ((_, _, _, value),) = _values(decoded)
    assert np.isnan(value)


def test_two_sources_of_one_topic() -> None:
    """Sources on the same topic each read its messages."""
    other = {"topic": "plant/{rack}", "features": {"temperature_2": "t2"}}
    decoded = decode(decoder(TOP, other), (TOPIC, {"t": 1, "h": 2, "t2": 3}))
    assert [(feature, value) for _, feature, _, value in _values(decoded)] == [(0, 1), (1, 2), (2, 3)]


def test_sources_told_apart_by_payload() -> None:
    """A message that `where` gives to one source counts as unmatched for none of the others."""
    sources: list[dict[str, Any]] = [
        {"group": "rack3", "where": {"id": number}, "features": {feature: "t"}}
        for number, feature in ((101, "temperature_1"), (102, "temperature_2"))
    ]
    decoded = decode(decoder(*sources), (TOPIC, {"id": 101, "t": 1}), (TOPIC, {"id": 77, "t": 9}))
    assert _values(decoded) == [("rack3", 0, ARRIVED_AT, 1.0)]
    assert _rejected_values(decoded) == []


def test_unmatched_topic() -> None:
    """A topic that fits no template is unmatched."""
    decoded = decode(decoder(TOP), ("other/rack3", b"1"))
    reason = "the topic fits no template of input.sources"
    assert _rejected_values(decoded) == [(ValueOutcome.UNMATCHED, "other/rack3", reason)]


def test_unmatched_feature() -> None:
    """A topic that names a feature which isn't asked for is unmatched."""
    decoded = decode(decoder(NUMBER), ("rack3/battery", b"97"))
    reason = "the topic names a feature that is not in features of its source"
    assert _rejected_values(decoded) == [(ValueOutcome.UNMATCHED, "rack3/battery", reason)]


def test_unmatched_records() -> None:
    """A message whose records are all of names that aren't asked for is unmatched."""
    source = {"format": "records", "key": "id", "features": {"temperature_1": "TempTop"}}
    decoded = decode(decoder(source), (TOPIC, [{"id": "Force", "value": 1}]))
    assert _rejected_values(decoded) == [(ValueOutcome.UNMATCHED, TOPIC, "it holds no feature of its source")]


def test_own_output() -> None:
    """What the monitor publishes is ignored, whatever the templates, and counted under no outcome."""
    source = {"topic": "{a}/{b}/{c}", "format": "number", "feature": "temperature_1"}
    decoded = decode(decoder(source), ("sensor-monitor/state/rack3", b"1"))
    assert (_values(decoded), _rejected_values(decoded)) == ([], [])


def test_malformed_reading() -> None:
    """A reading with several errors is one rejected reading, whose reason has the path of each."""
    decoded = decode(decoder({}), (TOPIC, {"temperature_1": 1, "humidity_1": 2, "temperature_2": "x"}))
    (rejected,) = decoded.rejected
    assert (rejected.outcome, rejected.source) == (Outcome.MALFORMED, TOPIC)
    assert rejected.reason == (
        "$.temperature_2 is 'x'; expected a number, or this text in absent; "
        "$.humidity_2 is missing; expected a number"
    )


def test_malformed_value() -> None:
    """Of a message with some features, what can be read is taken, and the rest is malformed."""
    decoded = decode(decoder(TOP), (TOPIC, {"t": "x", "h": 48.3}))
    assert _values(decoded) == [("rack3", 1, ARRIVED_AT, 48.3)]
    assert [outcome for outcome, _, _ in _rejected_values(decoded)] == [ValueOutcome.MALFORMED]


def test_one_bad_element() -> None:
    """In an array of readings, each stands for itself."""
    decoded = decode(decoder({}), (TOPIC, [{"ts": 1, **ALL}, {"ts": 2}, {"ts": 3, **ALL}]))
    assert decoded.readings.ts.tolist() == [1, 3]
    assert [reading.outcome for reading in decoded.rejected] == [Outcome.MALFORMED]


@pytest.mark.parametrize(
    ("settings", "changes", "reason"),
    [
        ({}, {"humidity_2": None}, "$.humidity_2 is null"),
        (
            {"absent": ["unavailable"]},
            {"humidity_2": "unavailable", "humidity_1": None},
            "$.humidity_1 is null; $.humidity_2 is 'unavailable', as in absent",
        ),
        (
            {"good": {"ok": True}},
            {"ok": False},
            "; ".join(f"$.{name} isn't good" for name in ALL),
        ),
    ],
)
def test_reading_with_an_absent_feature(
    settings: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    """A reading with an absent feature is stale, for there is nothing to hold; the reason says what it is."""
    decoded = decode(decoder(settings), (TOPIC, {**ALL, **changes}))
    (rejected,) = decoded.rejected
    assert (rejected.outcome, rejected.source, rejected.reason) == (Outcome.STALE, "rack3", reason)


@pytest.mark.parametrize(
    ("topic", "content"),
    [("rack3/tt", b"21.4"), ("rack3/tt", b"unavailable"), ("plant/rack3", {"t": 1, "h": 2})],
)
def test_retained_value_without_ts(topic: str, content: Any) -> None:
    """A retained value without event time is dropped, plain numbers too: it may be of last year."""
    decoded = decode(decoder({**NUMBER, "absent": ["unavailable"]}, TOP), (topic, content), flags=RETAIN_FLAG)
    assert _values(decoded) == []
    assert {outcome for outcome, _, _ in _rejected_values(decoded)} == {ValueOutcome.RETAINED}


def test_retained_value_with_ts() -> None:
    """A retained value with event time is kept, and marked as retained."""
    decoded = decode(decoder(TOP), (TOPIC, {"ts": 1, "t": 1, "h": 2}), flags=RETAIN_FLAG)
    assert decoded.values is not None
    assert decoded.values.retained is not None
    assert decoded.values.retained.tolist() == [True, True]


def test_retained_reading_without_ts() -> None:
    """A retained reading without event time is dropped."""
    decoded = decode(decoder({}), (TOPIC, ALL), flags=RETAIN_FLAG)
    assert [reading.outcome for reading in decoded.rejected] == [Outcome.RETAINED]


def test_redelivered() -> None:
    """A value of a message that the broker delivers again is marked so."""
    decoded = decode(decoder(NUMBER), ("rack3/tt", b"21.4"), flags=DUP_FLAG)
    assert decoded.values is not None
    assert decoded.values.redelivered.tolist() == [True]


def test_too_large() -> None:
    """A payload above the limit is malformed, with its size."""
    decoded = decode(decoder(TOP), (TOPIC, b" " * (1 << 20) + b"{}"))
    ((outcome, _, reason),) = _rejected_values(decoded)
    assert outcome == ValueOutcome.MALFORMED
    assert reason == "the payload has 1048578 bytes, expected at most 1048576"


def test_long_topic() -> None:
    """A topic above the limit is unmatched."""
    decoded = decode(decoder(NUMBER), ("r" * 1000 + "/tt", b"1"))
    ((outcome, source, _),) = _rejected_values(decoded)
    assert (outcome, len(source)) == (ValueOutcome.UNMATCHED, 1000)


def test_forget() -> None:
    """A forgotten group's messages are read as before."""
    stage = decoder(NUMBER, TOP)
    messages = [("rack3/tt", b"21.4"), (TOPIC, {"t": 1, "h": 2})]
    before = _values(decode(stage, *messages))
    stage.forget("rack3")
    assert _values(decode(stage, *messages)) == before
