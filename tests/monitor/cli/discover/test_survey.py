"""What is found in payloads, and that it stays bounded."""

import json
import random

import pytest

from monitor.cli.discover import survey as survey_module
from monitor.cli.discover.payloads import PayloadReader
from monitor.cli.discover.report import describe_survey
from monitor.cli.discover.statistics import Series, read_event_time
from tests.monitor.cli.discover.layouts import LAYOUTS, Message
from tests.monitor.cli.discover.plant import START, proposal, rounds, survey, words


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"21.4", "number"), (b"unavailable", "number"), (b"ON", "text"), (b"", "empty"), (b" \n", "empty"),
        (b'{"a": 1}', "json"), (b'[{"n": "t", "v": 1}]', "senml"), (b'"21"', "text"),
        (b"\x81\xa1a\x01", "msgpack"),
        (b"\xa1\x61a\x01", "cbor"), (b"\xff\xfe\x00", "binary"), (b"m,host=a v=1 17", "influx"),
        (b"{broken", "text"), (b"a = b", "text"), (b"[]", "text"),
    ],
)  # fmt: skip
def test_formats(payload: bytes, expected: str) -> None:
    """The format is found by trial."""
    assert PayloadReader(words()).read("a/b", payload).format == expected


def test_any_bytes_are_survived() -> None:
    """No payload ends the survey."""
    source = random.Random(1)  # noqa: S311, reproducible
    samples = [payload for layout in LAYOUTS.values() for _, (_, payload) in rounds(layout, 1)]
    messages: list[tuple[float, Message]] = []
    for number in range(3000):
        payload = bytearray(source.choice(samples))
        for _ in range(source.randrange(4)):
            payload[source.randrange(len(payload))] = source.randrange(256)
        messages.append((START + number, (f"any/{number % 50}", bytes(payload))))
    found = survey(messages)
    assert found.message_count == 3000
    assert describe_survey(found)
    assert proposal(messages)


def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Topics, fields and values beyond the limits are counted and not kept."""
    monkeypatch.setattr(survey_module, "MAX_TOPICS", 10)
    monkeypatch.setattr(survey_module, "MAX_SERIES", 50)
    messages = [
        (START + number, (f"t/{number}", json.dumps({f"f{field}": field for field in range(20)}).encode()))
        for number in range(100)
    ]
    found = survey(messages)
    assert len(found.topics) == 10
    assert sum(len(topic.series) for topic in found.topics.values()) == 50
    assert found.left_out_topics == 90
    assert "90 messages on further topics are left out" in describe_survey(found)


def test_own_output_is_left_out() -> None:
    """What a monitor publishes is counted only."""
    found = survey([(START, ("sensor-monitor/state/a", b"{}")), (START, ("a/temperature", b"1"))])
    assert (found.own_count, list(found.topics)) == (1, ["a/temperature"])


def test_series() -> None:
    """Range, smallest step, repeated values and intervals of a field."""
    series = Series()
    for at, value in enumerate([20.0, 20.5, 20.5, "unavailable", 22.0, 21.9]):
        series.add(value, at * 2.0)
    assert (series.low, series.high, series.step, series.repeated) == (20.0, 22.0, 0.1, 1)
    assert (series.texts, series.intervals.median, series.count) == (["unavailable"], 2.0, 6)


@pytest.mark.parametrize(
    ("value", "kind", "has_zone"),
    [
        (START, "number", True), (START * 1e3, "number", True), (int(START * 1e6), "number", True),
        (int(START) * 10**9, "number", True), (str(int(START)), "number", True),
        ("2026-09-21T14:13:20Z", "text", True), ("2026-09-21T14:13:20.123456789+02:00", "text", True),
        ("2026-09-21T14:13:20", "text", False), ("21.09.2026 14:13:20", "%d.%m.%Y %H:%M:%S", False),
    ],
)  # fmt: skip
def test_event_times(value: str | float, kind: str, *, has_zone: bool) -> None:
    """Times are found in each notation."""
    found = read_event_time(value, START)
    assert found is not None
    assert abs(found[0] - START) < 86400
    assert (found[1].kind, found[1].has_zone) == (kind, has_zone)


@pytest.mark.parametrize("value", [21.5, 1013, "top", True, None, "21", 1e8, "0x00158d0001"])
def test_no_event_times(value: object) -> None:
    """Other numbers and texts are none."""
    assert read_event_time(value, START) is None  # type: ignore[arg-type]
