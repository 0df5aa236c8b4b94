import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.ingest.formats.number import NumberFormat
from tests.monitor.ingest.formats.any_bytes import ANY_BYTES, check_any_bytes, mutations

FORMAT = NumberFormat()


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"21.4", 21.4),
        (b" 21.4\r\n", 21.4),
        (b"-3", -3.0),
        (b"+.5", 0.5),
        (b"1e3", 1000.0),
        (b"21.4\0", 21.4),
        (b"\xef\xbb\xbf21.4", 21.4),
        (b"9" * 300, 1e300),
    ],
)
def test_number(payload: bytes, value: float) -> None:
    """A finite decimal number is a float, whatever is around it."""
    content = FORMAT.parse(payload)
    assert content == {"value": value}
    assert type(content["value"]) is float


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"unavailable", "unavailable"),
        (b" unknown\n", "unknown"),
        (b"", ""),
        (b'"21.4"', '"21.4"'),
        (b"21,4", "21,4"),
        (b"21.4 C", "21.4 C"),
        (b"nan", "nan"),
        (b"-inf", "-inf"),
        (b"1e400", "1e400"),
        (b"1e400\0", "1e400"),
        (b"1_000", "1_000"),
        (b"1_000\0", "1_000"),
        (b"0x1F", "0x1F"),
        ("21\u00b0".encode(), "21\u00b0"),
        ("\u0662\u0661".encode(), "\u0662\u0661"),
        ("\u0662\u0661".encode() + b"\0", "\u0662\u0661"),
    ],
)
def test_text(payload: bytes, text: str) -> None:
    """What is no finite decimal number is text."""
    assert FORMAT.parse(payload) == {"value": text}


def test_reason() -> None:
    """Bytes that are no text are refused with their place."""
    with pytest.raises(ValueError, match=r"byte 2 is no UTF-8 text; expected a number as text"):
        FORMAT.parse(b"21\xff")


@ANY_BYTES
@given(payload=mutations(b"21.4", b" -1e3\n", b"unavailable", b"1_0\0"))
def test_any_bytes(payload: bytes) -> None:
    """Any bytes give a number, a text or a reason."""
    check_any_bytes(FORMAT, payload)


@ANY_BYTES
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_any_number(value: float) -> None:
    """Every number that is sent is the number that is read."""
    assert FORMAT.parse(repr(value).encode()) == {"value": value}


def test_megabytes() -> None:
    """A payload of the largest size is read, of digits or of padding."""
    assert FORMAT.parse(b"9" * (1 << 20))["value"] == "9" * (1 << 20)
    assert FORMAT.parse(b"\0" * (1 << 20))["value"] == "\0" * ((1 << 20) - 1)
