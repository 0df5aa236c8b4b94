import re
import sys

import pytest
from hypothesis import given

from monitor.ingest.formats.influx import InfluxFormat
from tests.monitor.ingest.formats.any_bytes import ANY_BYTES, check_any_bytes, mutations

FORMAT = InfluxFormat()


def point(
    measurement: str,
    tags: dict[str, str] | None = None,
    fields: dict[str, object] | None = None,
    timestamp: int | None = None,
) -> dict[str, object]:
    """Return a point as the format does; one field `f` of 1.0 unless other fields are given."""
    return {
        "measurement": measurement,
        "tags": tags or {},
        "fields": fields or {"f": 1.0},
        "timestamp": timestamp,
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "air,room=a,rack=3 temperature=82.5,humidity=44i 1465839830100400200",
            point(
                "air",
                {"room": "a", "rack": "3"},
                {"temperature": 82.5, "humidity": 44},
                1465839830100400200,
            ),
        ),
        (
            'm a=1,b=-2i,c=3u,d=1.5e-3,e=t,f=False,g="x"',
            point("m", {}, {"a": 1.0, "b": -2, "c": 3, "d": 0.0015, "e": True, "f": False, "g": "x"}),
        ),
        (
            r'my\ room\,1,a\,b=c\ d,e=f\=g h\ i="a \"b\" \\ c",j=1',
            point("my room,1", {"a,b": "c d", "e": "f=g"}, {"h i": 'a "b" \\ c', "j": 1.0}),
        ),
        ('m"x,t="a f=1', point('m"x', {"t": '"a'})),
        ('m f="a,b=c d\n# e"', point("m", {}, {"f": "a,b=c d\n# e"})),
        ("m f=1 -1", point("m", timestamp=-1)),
        ('m,rack=\u00e9 f="\u2603"', point("m", {"rack": "\u00e9"}, {"f": "\u2603"})),
    ],
    ids=["tags", "types", "escapes", "quotes-in-tags", "string", "before-1970", "unicode"],
)
def test_line(line: str, expected: dict[str, object]) -> None:
    """A line is a point with its tags, fields and timestamp."""
    assert FORMAT.parse(line.encode()) == [expected]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "text", ['"a\nb"', '"\\"\n"', '"\\\\"', "7"], ids=["line-feed", "quote", "backslash", "none"]
)
def test_lines(text: str, end: str) -> None:
    """Several lines are points in their order; blank lines and comments are none."""
    lines = ["m f=1 5", "", "# a comment", f"m f={text}", "  ", "m f=3", ""]
    points = FORMAT.parse(end.join(lines).encode())
    value = {'"a\nb"': "a\nb", '"\\"\n"': '"\n', '"\\\\"': "\\", "7": 7.0}[text]
    assert points == [point("m", timestamp=5), point("m", {}, {"f": value}), point("m", {}, {"f": 3.0})]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "the payload has no line of data; expected `measurement,tag=a field=1.0 1556813561098000000`"),
        (b"# a comment\n", "the payload has no line of data"),
        (b'{"a": 1}', "line 1: "),
        (b"m f=1\nm\nm f=2", "line 2: "),
        (b"m f=nan", "line 1: "),
        (b"m f=1e400", "line 1: "),
        (b"m f=1 99999999999999999999", "line 1: "),
        (b'm f=1\nm f="a', "line 2 has quotes that don't end"),
        (b"m f=1\0", "line 1: Embedded NUL"),
        (b"m f=\xff", "byte 4 is no UTF-8 text"),
    ],
)
def test_reason(payload: bytes, reason: str) -> None:
    """What is no line protocol raises ValueError with the line and what is wrong."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        FORMAT.parse(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b'm f="' * 200_000,
        b"\\" * 1_000_000,
        b'm f="' + b'\\"' * 500_000,
        b"m " + b'""' * 500_000,
        b"m \n" * 300_000,
    ],
    ids=["strings", "backslashes", "quotes", "empty-strings", "lines"],
)
def test_megabyte_of_errors(payload: bytes) -> None:
    """What nearly is line protocol is refused without trying combinations."""
    with pytest.raises(ValueError, match="line 1"):
        FORMAT.parse(payload)


def test_many_lines() -> None:
    """A payload of the largest size can have a hundred thousand lines."""
    assert len(FORMAT.parse(b'm f=1\nm f="a\nb"\n' * 60_000)) == 120_000


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the parser isn't installed, the reason names the extra."""
    monkeypatch.setitem(sys.modules, "line_protocol_parser", None)
    with pytest.raises(ValueError, match=r"not installed; expected `pip install 'sensor-monitor\[influx\]'`"):
        InfluxFormat()


@ANY_BYTES
@given(
    payload=mutations(
        rb'a\ b,c=d\,,e=f g="h \"i",j=1.5e3,k=2i,l=T 1465839830100400200', b"m f=1\n# c\nm g=2u\n"
    )
)
def test_any_bytes(payload: bytes) -> None:
    """Any bytes give points or a reason."""
    check_any_bytes(FORMAT, payload)
