from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.messages import RETAIN_FLAG, InboundMessage
from monitor.core.readings import Arrivals
from monitor.core.topics import OwnTopics, Template
from monitor.core.values import ValueOutcome
from monitor.ingest.decoded_messages import DecodedMessages
from monitor.ingest.event_time import EventTimeRules
from monitor.ingest.formats.json_data import JsonFormat
from monitor.ingest.formats.number import NumberFormat
from monitor.ingest.source import FeatureRules, Source
from monitor.ingest.source_decoder import SourceDecoder

NUMBERS = st.one_of(
    st.floats(-1e13, 1e13, allow_nan=False),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, -1, 1.7e9, 1_700_000_000_123, 1_700_000_000_123_456_789, 1e11, 1e300]),
)
SCALARS = st.one_of(NUMBERS, st.none(), st.booleans(), st.sampled_from(["", "21.4", "unavailable"]))
OBJECTS = st.dictionaries(
    st.sampled_from(["value", "ts", "v.w", "x"]), st.one_of(SCALARS, st.just({"value": 1}))
)
PAYLOADS = st.one_of(
    OBJECTS.map(msgspec.json.encode),
    st.lists(OBJECTS, max_size=3).map(msgspec.json.encode),
    NUMBERS.map(lambda number: str(number).encode()),
    st.sampled_from(
        [b"", b"{", b'{"value":1,"ts":2}\0', b"\xef\xbb\xbf21.4", b"1_000", b"nan", b'{"value":1e400}']
    ),
    st.binary(max_size=8),
)


def _decode(source: Source, *messages: tuple[bytes, int]) -> DecodedMessages:
    decoder = SourceDecoder([source], 4, OwnTopics("sensor-monitor"))
    batch: list[InboundMessage] = [("plant/g/temp", payload, None, flags) for payload, flags in messages]
    times = 1.8e9 + np.arange(len(batch))
    return decoder.decode(batch, Arrivals(times, times, times))


def _source(**options: Any) -> Source:
    rules = FeatureRules(1, ("value",), **options.pop("rules", {}))
    return Source(
        Template("plant/{group}/{feature}"),
        JsonFormat().parse,
        features_by_key={"temp": rules},
        ts_path=options.pop("ts_path", ("ts",)),
        is_json=True,
        **options,
    )


PLAIN = replace(_source(ts_path=None), parse=NumberFormat().parse, is_json=False, is_plain_number=True)


@given(
    payload=PAYLOADS,
    flags=st.sampled_from([0, RETAIN_FLAG]),
    source=st.sampled_from(
        [
            _source(),
            _source(ts_path=None),
            _source(rules={"scale": 0.1, "offset": -3.0}),
            _source(event_time=EventTimeRules(unit="ms")),
            _source(is_partial=True, accepts_text_numbers=True, absent=frozenset(["unavailable"])),
            _source(good=(("x", (True,)),)),
            PLAIN,
        ]
    ),
)
def test_short_cut_changes_nothing(payload: bytes, flags: int, source: Source) -> None:
    """Payloads that are read without `Source.read` give what it gives."""
    short = _decode(source, (payload, flags))
    whole = _decode(replace(source, is_json=False, is_plain_number=False), (payload, flags))
    assert short.rejected_values == whole.rejected_values
    assert short.values is not None
    assert whole.values is not None
    assert list(short.values.groups) == list(whole.values.groups)
    for name in ("features", "ts", "values", "arrived_at", "arrived_monotonic"):
        np.testing.assert_array_equal(getattr(short.values, name), getattr(whole.values, name))


@pytest.mark.parametrize(
    ("source", "payload"),
    [
        (_source(), b'{"value":21.4}'),
        (
            PLAIN,
            b"21.4",
        ),
    ],
)
def test_retained_without_event_time(source: Source, payload: bytes) -> None:
    """A retained value is dropped if nobody knows when it was measured."""
    decoded = _decode(source, (payload, RETAIN_FLAG), (payload, 0))
    assert [value.outcome for value in decoded.rejected_values] == [ValueOutcome.RETAINED]
    assert decoded.values is not None
    assert decoded.values.ts.tolist() == [1.8e9 + 1]


def test_cached_topics_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic is cached once, whatever its payloads are; `forget` and a full cache remove it."""
    monkeypatch.setattr("monitor.ingest.source_decoder.MAX_CACHED_TOPICS", 1)
    decoder = SourceDecoder([_source(absent=frozenset(["off"]))], 4, OwnTopics("sensor-monitor"))

    def decode(group: int, payload: bytes) -> list[float]:
        times = np.full(1, 1.8e9)
        arrivals = Arrivals(times, times, times)
        decoded = decoder.decode([(f"plant/g{group}/temp", payload, None, 0)], arrivals)
        assert decoded.values is not None
        assert list(decoded.values.groups) == [f"g{group}"]
        return decoded.values.values.tolist()

    for group in (*range(9), 8):
        assert decode(group, b'{"value":1,"ts":2}') == [1.0]
        assert np.isnan(decode(group, b'{"value":"off","ts":2}')).all()
        caches = decoder._reader_by_topic, decoder._bindings_by_topic  # noqa: SLF001, what it keeps
        assert len(caches[0]) + len(caches[1]) <= 4
    decoder.forget("g8")
    assert all("plant/g8/temp" not in cache for cache in caches)
