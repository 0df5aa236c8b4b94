import subprocess
import sys

import pytest

from monitor.ingest.formats.registry import FORMATS


def test_names() -> None:
    """The formats have the names of the settings."""
    assert set(FORMATS) == {"json", "number", "msgpack", "cbor", "senml", "influx", "sparkplug", "ruuvi"}


@pytest.mark.parametrize(
    ("name", "payload", "content"),
    [
        ("json", b'{"a": 1}', {"a": 1}),
        ("number", b"21.4", {"value": 21.4}),
        ("msgpack", b"\x81\xa1a\x01", {"a": 1}),
        ("cbor", b"\xa1\x61a\x01", {"a": 1}),
        ("senml", b'[{"n": "a", "v": 1}]', [{"n": "a", "v": 1.0, "t": None, "age": 0.0, "u": None}]),
        ("influx", b"m a=1", [{"measurement": "m", "tags": {}, "fields": {"a": 1.0}, "timestamp": None}]),
        ("sparkplug", b"\x08\x05\x18\x01", {"timestamp": 5, "seq": 1, "metrics": []}),
    ],
)
def test_format(name: str, payload: bytes, content: object) -> None:
    """Each name makes a format that reads payloads of that kind."""
    assert FORMATS[name]().parse(payload) == content


def test_imports() -> None:
    """Who uses JSON alone loads no library of another format."""
    code = (
        "import sys; from monitor.ingest.formats.registry import FORMATS;"
        "FORMATS['json'](); FORMATS['senml']();"
        "print(sorted({'cbor2', 'line_protocol_parser', 'google.protobuf'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
