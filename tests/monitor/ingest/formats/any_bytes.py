"""Bytes that a payload format must survive, and the check that it does."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from monitor.ingest.formats.payload_format import MAX_REASON_LENGTH, PayloadFormat

ANY_BYTES = settings(
    max_examples=1000,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
"""1,000 examples take one to three seconds."""

_PLAIN_SCALARS = (str, int, float, bool, type(None))


def mutations(*valid: bytes) -> st.SearchStrategy[bytes]:
    """Return any bytes, and valid payloads of a format with some of their bytes replaced."""
    return st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda payload, start, removed, inserted: (
                payload[: start % len(payload)] + inserted + payload[start % len(payload) + removed :]
            ),
            st.sampled_from(valid),
            st.integers(0, 10_000),
            st.integers(0, 8),
            st.one_of(st.binary(max_size=8), st.sampled_from(valid)),
        ),
    )


def check_any_bytes(payload_format: PayloadFormat, payload: bytes) -> None:
    """Check that the payload gives plain data, or a ValueError with a short reason on one line."""
    failure: ValueError | None = None
    content = None
    try:
        content = payload_format.parse(payload)
    except ValueError as error:
        failure = error
    assert_plain(content)
    if failure is not None:
        assert type(failure) is ValueError
        assert 0 < len(str(failure)) <= MAX_REASON_LENGTH
        assert str(failure).isprintable()


def assert_plain(content: Any) -> None:
    """Check that data consists of dicts with text as keys, lists, text, numbers, booleans and None."""
    pending = [content]
    while pending:
        item = pending.pop()
        if type(item) is dict:
            assert all(type(key) is str for key in item)
            pending += item.values()
        elif type(item) is list:
            pending += item
        else:
            assert type(item) in _PLAIN_SCALARS, repr(item)
