import json
import re
import sys
from typing import Any

import cbor2
import pytest
from hypothesis import given

from monitor.ingest.formats.senml import SenmlFormat
from tests.monitor.ingest.formats.any_bytes import ANY_BYTES, check_any_bytes, mutations

FORMAT = SenmlFormat()
NOW = 1_790_000_000.0
CBOR_KEYS = {
    "bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6,
    "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "ut": 7, "vd": 8,
}  # fmt: skip


def resolved(
    name: str, value: object, t: float | None = None, unit: str | None = None, age: float | None = 0.0
) -> dict[str, Any]:
    """Return a resolved record, of the time of sending unless another is given."""
    return {"n": name, "v": value, "t": t, "age": None if t is not None else age, "u": unit}


EXAMPLES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "single": (
        [{"n": "urn:dev:ow:10e2073a01080063", "u": "Cel", "v": 23.1}],
        [resolved("urn:dev:ow:10e2073a01080063", 23.1, unit="Cel")],
    ),
    "base-name": (
        [{"bn": "rack3:", "n": "temp", "u": "Cel", "v": 21}, {"n": "hum", "u": "%RH", "v": 40.5}],
        [resolved("rack3:temp", 21.0, unit="Cel"), resolved("rack3:hum", 40.5, unit="%RH")],
    ),
    "base-time-and-unit": (
        [
            {"bn": "rack3:", "bt": NOW, "bu": "A", "bver": 5, "n": "voltage", "u": "V", "v": 120.1},
            {"n": "current", "t": -5, "v": 1.2},
            {"n": "current", "t": -4.5, "v": 1.3},
        ],
        [
            resolved("rack3:voltage", 120.1, NOW, "V"),
            resolved("rack3:current", 1.2, NOW - 5, "A"),
            resolved("rack3:current", 1.3, NOW - 4.5, "A"),
        ],
    ),
    "bases-replaced": (
        [
            {"bn": "a:", "bt": NOW, "n": "x", "v": 1},
            {"bn": "b:", "bt": NOW + 60, "n": "x", "v": 2},
            {"n": "y", "v": 3},
        ],
        [resolved("a:x", 1.0, NOW), resolved("b:x", 2.0, NOW + 60), resolved("b:y", 3.0, NOW + 60)],
    ),
    "base-name-alone": ([{"bn": "rack3", "v": 1}], [resolved("rack3", 1.0)]),
    "base-record": (
        [{"bn": "rack3:", "bt": NOW, "bu": "Cel", "bv": 20}, {"n": "top", "v": 1.5}, {"n": "low"}],
        [resolved("rack3:top", 21.5, NOW, "Cel"), resolved("rack3:low", 20.0, NOW, "Cel")],
    ),
    "relative-time": (
        [{"n": "a", "t": -60, "v": 1}, {"n": "a", "t": 0, "v": 2}, {"n": "a", "t": 2**28 - 1, "v": 3}],
        [resolved("a", 1.0, age=60.0), resolved("a", 2.0), resolved("a", 3.0, age=1.0 - 2**28)],
    ),
    "first-absolute-time": ([{"n": "a", "t": 2**28, "v": 1}], [resolved("a", 1.0, 2.0**28)]),
    "types": (
        [
            {"bn": "a:", "bv": 5, "n": "label", "vs": "Machine Room"},
            {"n": "open", "vb": False},
            {"n": "nfc-reader", "vd": "aGkgCg"},
            {"n": "gone", "v": None},
        ],
        [
            resolved("a:label", "Machine Room"),
            resolved("a:open", value=False),
            resolved("a:nfc-reader", "aGkgCg"),
            resolved("a:gone", None),
        ],
    ),
    "sums": (
        [{"n": "a", "s": 5}, {"bs": 3, "bv": 2, "n": "b", "s": 1}, {"n": "c", "v": 1, "s": 2}],
        [resolved("c", 3.0)],
    ),
    "unknown-fields": (
        [{"n": "a", "v": 1, "ut": 60, "foo": [1], "bfoo": 1, "bver": 26}],
        [resolved("a", 1.0)],
    ),
}


@pytest.mark.parametrize(("pack", "records"), EXAMPLES.values(), ids=EXAMPLES)
def test_json(pack: list[dict[str, Any]], records: list[dict[str, Any]]) -> None:
    """A pack as JSON gives its records with all base fields applied."""
    assert FORMAT.parse(json.dumps(pack).encode()) == records


@pytest.mark.parametrize("pack_tag", [False, True])
@pytest.mark.parametrize(("pack", "records"), EXAMPLES.values(), ids=EXAMPLES)
def test_cbor(pack: list[dict[str, Any]], records: list[dict[str, Any]], *, pack_tag: bool) -> None:
    """A pack as CBOR, with numbers as labels, gives the same."""
    content: Any = [{CBOR_KEYS.get(label, label): item for label, item in record.items()} for record in pack]
    assert FORMAT.parse(cbor2.dumps(cbor2.CBORTag(55799, content) if pack_tag else content)) == records


def test_byte_order_mark() -> None:
    """A byte order mark doesn't make a pack CBOR."""
    assert FORMAT.parse(b'\xef\xbb\xbf[{"n": "a", "v": 1}]') == [resolved("a", 1.0)]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "the payload is empty"),
        (b"[]", "no SenML pack; expected an array of records"),
        (b'{"n": "a", "v": 1}', "no SenML pack; expected an array of records"),
        (b"\xa1\x00\x01", "no SenML pack; expected an array of records"),
        (b"\x81\x01", "record 1: it is no object"),
        (b'[{"n": "a", "v": 1}, 2]', "record 2: it is no object"),
        (b'[{"n": "a"}]', "record 1: it has no value; expected v, vs, vb or vd"),
        (b'[{"v": 1}]', "record 1: it has no name; expected n or bn"),
        (b'[{"n": 1, "v": 1}]', "record 1: n is a number; expected text"),
        (b'[{"n": "a", "v": "21.4"}]', "record 1: v is text; expected a number"),
        (b'[{"n": "a", "v": true}]', "record 1: v is a boolean; expected a number"),
        (b'[{"n": "a", "vb": 1}]', "record 1: vb is a number; expected a boolean"),
        (b'[{"n": "a", "vs": []}]', "record 1: vs is an array; expected text"),
        (b'[{"n": "a", "v": 1, "t": null}]', "record 1: t is null; expected a number"),
        (b'[{"n": "a", "v": 1, "bt": {}}]', "record 1: bt is an object; expected a number"),
        (b'[{"n": "a", "v": 1' + b"0" * 400 + b"}]", "record 1: v is too large"),
        (b'[{"n": "a", "v": 1, "bt": 1e308, "t": 1e308}]', "record 1: the time is inf; expected seconds"),
        (b'[{"n": "a", "v": 1, "bver": 11}]', "the pack is of version 11; expected 10 or below"),
        (b'[{"n": "a", "v": 1, "new_": 1}]', "record 1: 'new_' has to be understood"),
    ],
)
def test_reason(payload: bytes, reason: str) -> None:
    """What is no pack raises ValueError with the record and what is wrong."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        FORMAT.parse(payload)


def test_json_needs_no_cbor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cbor2 isn't installed, packs as JSON are read, and for others the reason names the extra."""
    monkeypatch.setitem(sys.modules, "cbor2", None)
    senml = SenmlFormat()
    assert senml.parse(b'[{"n": "a", "v": 1}]') == [resolved("a", 1.0)]
    with pytest.raises(ValueError, match=r"cbor2 is not installed"):
        senml.parse(b"\x81\xa2\x00aa\x02\x01")


@ANY_BYTES
@given(
    payload=mutations(
        b'[{"bn":"a:","bt":1.79e9,"bu":"Cel","bv":1,"bver":10,"n":"x","v":1.5},{"n":"y","vs":"on","t":-5},{"s":1}]',
        cbor2.dumps([{-2: "a:", -3: 1.79e9, 0: "x", 2: 1.5}, {0: "y", 4: True, 6: -5}]),
    )
)
def test_any_bytes(payload: bytes) -> None:
    """Any bytes give records or a reason."""
    check_any_bytes(FORMAT, payload)
