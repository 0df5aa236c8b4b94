import msgspec
import pytest

from monitor.ingest.formats.json_object import build_payload_type, resolve_paths

FEATURES = ("a", "b")


@pytest.mark.parametrize("path", ["ts", "when", "data.ts", "b.b"])
@pytest.mark.parametrize("field", ["ts", "a"])
def test_order(field: str, path: str) -> None:
    """A row has ts first and then the features in order, whatever their paths."""
    paths = {"ts": "time", "b": "c", field: path}
    _, payload_type, to_row = build_payload_type(resolve_paths(FEATURES, paths), FEATURES)
    content = '{"a":1,"ts":0,"c":2,"time":0,"when":0,"data":{"ts":0},"b":{"b":0}}'
    expected = {"ts": 0.0, "a": 1.0, "b": 2.0, field: 0.0}
    assert to_row(msgspec.json.decode(content, type=payload_type)) == tuple(expected.values())
