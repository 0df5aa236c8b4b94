from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.monitor.ingest.sources import decode, decoder
from tests.monitor.ingest.test_fuzz import NUMBERS, PAYLOADS, VALUES

FEATURES = {"temperature_1": "t", "humidity_1": "h"}
SOURCES: list[dict[str, Any]] = [
    {"topic": "complete/{rack}", "numbers": "text", "zone": "Europe/Berlin"},
    {"topic": "partial/{rack}", "partial": True, "features": {"temperature_1": ["t", 0], "humidity_1": "h"}},
    {"topic": "records/{rack}", "key": "k", "records": "", "ts_unit": "ns", "features": FEATURES},
    {"topic": "device", "group": "$.k", "ts_format": "%Y", "good": {"q": 1}, "features": FEATURES},
    {"topic": "keys", "records": "{device}", "where": {"q": ["missing", 1]}, "features": FEATURES},
    {"topic": "{rack}/{feature}/number", "format": "number", "features": {"temperature_2": "t"}},
    {"topic": "value/{feature}/{rack}", "value": "", "absent": ["n"], "features": {"temperature_2": "t"}},
]
TOPICS = ["complete/r", "partial/r", "records/r", "device", "keys", "r/t/number", "value/t/r"]
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "t": st.one_of(st.floats(-50, 100), NUMBERS, VALUES),
        "h": st.floats(-50, 100),
        "k": st.one_of(st.sampled_from(["t", "h", "a+", ""]), VALUES),
        "q": st.sampled_from([0, 1, None]),
        "ts": st.one_of(NUMBERS, VALUES),
        "value": NUMBERS,
    },
)
CONTENTS = st.one_of(
    PAYLOADS,
    RECORDS,
    st.lists(RECORDS, max_size=3),
    st.dictionaries(st.text(), st.lists(RECORDS, max_size=2)),
)


@settings(
    max_examples=1000,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(content=CONTENTS)
def test_any_message(content: Any) -> None:
    """No message of any source raises an error; what is read is finite or absent, and of a usable group."""
    decoded = decode(DECODER, *((topic, content) for topic in TOPICS))
    values = decoded.values
    assert values is not None
    assert np.isfinite(values.ts).all()
    assert not np.isinf(values.values).any()
    assert np.isfinite(decoded.readings.values).all()
    for group in {*values.groups, *decoded.readings.groups}:
        assert group
        assert not set("+#\0") & set(group)
        assert "" not in group.split("/")


DECODER = decoder(*SOURCES)
