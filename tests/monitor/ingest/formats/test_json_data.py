import re

import pytest
from hypothesis import given

from monitor.ingest.formats.json_data import JsonFormat
from tests.monitor.ingest.formats.any_bytes import ANY_BYTES, check_any_bytes, mutations

FORMAT = JsonFormat()


@pytest.mark.parametrize(
    ("payload", "content"),
    [
        (b'{"t": 21.4, "battery": 87, "linked": true}', {"t": 21.4, "battery": 87, "linked": True}),
        (b'{"SHT3X-0x44": {"Temperature": null}}', {"SHT3X-0x44": {"Temperature": None}}),
        (b'[{"id": "a", "v": "21.4"}]', [{"id": "a", "v": "21.4"}]),
        (b"21.4", 21.4),
        (b"\xef\xbb\xbf{}", {}),
        (b'{"a": 1}\0', {"a": 1}),
        (b"\xef\xbb\xbf[]\0", []),
    ],
    ids=["object", "nested", "array", "number", "byte-order-mark", "nul", "both"],
)
def test_parse(payload: bytes, content: object) -> None:
    """JSON is returned as it is, without padding around it."""
    assert FORMAT.parse(payload) == content


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "the payload is empty; expected a JSON object"),
        (b"\0", "the payload is empty"),
        (b'{"a": 1', "truncated"),
        (b'{"a": nan}', "a is nan?"),
        (b'{"a\nb": nan}', "a?b is nan?"),
        (b"{'a': 1}", "JSON is malformed"),
        (b'{"a": 1} 2', "trailing characters"),
        (b'{"a": "\xff"}', "can't decode byte 0xff"),
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"' + b"k" * 200 + b'": nan}', "kkk..."),
        (b"9" * 1_000_000, "out of range"),
        (b"\0" * 1_000_000, "malformed"),
    ],
    ids=[
        "empty",
        "nul",
        "truncated",
        "nan",
        "line-feed",
        "quotes",
        "trailing",
        "no-utf-8",
        "brackets",
        "long",
        "digits",
        "nuls",
    ],
)
def test_reason(payload: bytes, reason: str) -> None:
    """What is no JSON raises ValueError with what is wrong."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        FORMAT.parse(payload)


@ANY_BYTES
@given(payload=mutations(b'{"a": [1, -2.5e3, true, null, "\\u00e9"]}', b"\xef\xbb\xbf[]\0"))
def test_any_bytes(payload: bytes) -> None:
    """Any bytes give plain data or a reason."""
    check_any_bytes(FORMAT, payload)
