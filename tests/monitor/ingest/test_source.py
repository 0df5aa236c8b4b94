import math
from typing import Any

import pytest

from monitor.ingest.source import SourceError
from tests.monitor.ingest.sources import read
from tests.support.toy_bundle import NAMES

ALL = {"temperature_1": 21.4, "humidity_1": 48.3, "temperature_2": 21.7, "humidity_2": 47.1}
TOP = {"temperature_1": "temperature", "humidity_1": "humidity"}
KEYED = {"key": "id", "value": "v", "features": {"temperature_1": "TempTop", "humidity_1": "HumTop"}}
TAG = {"topic": "acme/{rack}/{feature}", "features": {"temperature_1": "TempTop"}}
ONE = {"feature": "temperature_1"}
ABSENT = {"temperature_1": None}


def _values(content: Any, message_topic: str = "plant/rack3", **settings: Any) -> dict[str, float | None]:
    """Read a message without errors; return its values by feature, with None for those that are absent."""
    records = read(content, message_topic, **settings)
    assert [record.errors for record in records] == [[]] * len(records)
    return {
        NAMES[index]: None if math.isnan(value) else value
        for record in records
        for index, value in record.values
    }


def _errors(content: Any, message_topic: str = "plant/rack3", **settings: Any) -> list[str]:
    """Read a message; return the errors of all records."""
    return [error for record in read(content, message_topic, **settings) for error in record.errors]


def _failure(content: Any, **settings: Any) -> str:
    """Read a message that can't be read at all; return why."""
    with pytest.raises(SourceError) as error:
        read(content, **settings)
    return str(error.value)


def test_own_names() -> None:
    """Without further settings a record has `ts`, and each feature at its own name."""
    (record,) = read({"ts": 1.7e9, **ALL})
    assert (record.group, record.ts) == ("rack3", 1.7e9)
    assert record.values == list(enumerate(ALL.values()))


def test_paths() -> None:
    """Features are found by dotted path, by list of keys, and by index in an array."""
    content = {"a": {"temperature:0": {"tC": 21.4}}, "rh": [48.3, 50.0]}
    features = {"temperature_1": ["a", "temperature:0", "tC"], "humidity_1": "rh.0"}
    assert _values(content, features=features) == {"temperature_1": 21.4, "humidity_1": 48.3}


def test_scale_and_offset() -> None:
    """A value is scale x number + offset."""
    features = {"temperature_1": {"path": "72", "scale": 0.01, "offset": -5}}
    assert _values({"72": 2140}, features=features) == {"temperature_1": pytest.approx(16.4)}


def test_feature_in_topic() -> None:
    """`{feature}` in the topic names the feature, and is no part of the group."""
    (record,) = read({"value": 21.4}, "acme/rack3/TempTop", **TAG)
    assert (record.group, record.values) == ("rack3", [(0, 21.4)])


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        ({"value": 21.4}, {}),
        ({"t": {"v": 21.4}}, {"value": "t.v"}),
        (b"21.4", {"value": ""}),
        (b"21.4", {"format": "number"}),
        ({"value": 107}, {"features": {"temperature_1": {"scale": 0.2}}}),
    ],
)
def test_one_feature(content: Any, settings: dict[str, Any]) -> None:
    """A source of one feature finds it at `value`, where `value` says, or as the whole payload."""
    assert _values(content, **ONE, **settings) == {"temperature_1": pytest.approx(21.4)}


def test_records_with_key() -> None:
    """Records name what they hold; those of other names are no errors."""
    content = [{"id": "TempTop", "v": 21.4}, {"id": "Press.Force", "v": 812}, {"id": "HumTop", "v": 48.3}]
    assert _values(content, **KEYED) == {"temperature_1": 21.4, "humidity_1": 48.3}


def test_records_below_a_path() -> None:
    """The array of records may be anywhere in the payload."""
    content = {"data": [{"values": [{"id": "TempTop", "v": 21.4}]}]}
    assert _values(content, records=["data", 0, "values"], **KEYED) == {"temperature_1": 21.4}


def test_record_without_key() -> None:
    """A record that doesn't name what it holds is refused, and the others are read."""
    records = read([{"v": 1}, {"id": "TempTop", "v": 21.4}], **KEYED)
    assert records[0].errors == ["record 0: $.id is missing; expected the name of a value"]
    assert records[1].values == [(0, 21.4)]


def test_names_as_keys() -> None:
    """`{name}` in `records` stands for any key, which becomes a part of the group."""
    content = {"rack3": [{"ts": 1, **ALL}, {"ts": 2, **ALL}], "rack4": [{"ts": 1, **ALL}]}
    records = read(content, "plant/line1", records="{device}")
    assert [(record.group, record.ts) for record in records] == [
        ("line1/rack3", 1),
        ("line1/rack3", 2),
        ("line1/rack4", 1),
    ]


@pytest.mark.parametrize("key", ["Sensor #1", "a+b", "", "a//b"])
def test_key_that_is_no_group(key: str) -> None:
    """A key that can't be a part of a topic is no group."""
    assert "expected the group: text without +, # and empty parts" in _errors({key: ALL}, records="{d}")[0]


@pytest.mark.parametrize(
    ("content", "group"),
    [
        ({"device": "rack3", **ALL}, "rack3"),
        ({"device": "line1/rack3", **ALL}, "line1/rack3"),
        ({"device": 17, **ALL}, "17"),
        ({"device": "all", "values": [{"device": "rack3", **ALL}]}, "rack3"),
        ({"device": "all", "values": [ALL]}, "all"),
    ],
)
def test_group_in_payload(content: Any, group: str) -> None:
    """The group is in the record or, if it isn't there, in the payload."""
    settings = {"records": "values"} if "values" in content else {}
    assert [record.group for record in read(content, group="$.device", **settings)] == [group]


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        (None, "$.device is None; expected the group: text or an integer"),
        (True, "$.device is True; expected the group: text or an integer"),
        (2.5, "$.device is 2.5; expected the group: text or an integer"),
        ("", "$.device is ''; expected the group: text without +, # and empty parts"),
        ("a#", "$.device is 'a#'; expected the group: text without +, # and empty parts"),
        ("x" * 1001, "expected the group: at most 1000 characters"),
    ],
)
def test_invalid_group(device: Any, reason: str) -> None:
    """What can't be a part of the monitor's topics is no group; the reason has its path."""
    (error,) = _errors({"device": device, **ALL}, group="$.device")
    assert error.startswith("$.device is ")
    assert reason in error


def test_missing_group() -> None:
    """A record without the group that it should name is refused."""
    assert _errors(ALL, group="$.a.b") == ["$.a.b is missing; expected the group: text or an integer"]


def test_constant_group() -> None:
    """A constant group takes the place of the topic's names."""
    assert read(ALL, group="line1/rack3")[0].group == "line1/rack3"


def test_ts_of_a_record() -> None:
    """The event time of a record goes before that of the payload, which goes before none."""
    content = {"t": 1.7e9, "values": [{"id": "TempTop", "v": 1, "t": 1.6e9}, {"id": "HumTop", "v": 2}]}
    assert [record.ts for record in read(content, records="values", ts="t", **KEYED)] == [1.6e9, 1.7e9]


def test_no_ts() -> None:
    """With ts = "" the event time is the arrival, whatever the payload has."""
    assert read({"ts": "nonsense", **ALL}, ts="")[0].ts is None


def test_array_needs_ts() -> None:
    """In an array of readings each needs an event time of its own: they have one time of arrival."""
    assert _errors([ALL, {"ts": 1, **ALL}]) == ["record 0: no $.ts; expected one in each element of an array"]


def test_records_need_the_ts_of_the_settings() -> None:
    """Where the settings say where records have event times, one in an array must have it."""
    (record,) = read([{"id": "TempTop", "v": 99.0}], **KEYED, ts="t")
    assert record.errors == ["no $.t; expected one in each element of an array"]
    (record,) = read([{"id": "TempTop", "v": 21.4}], **KEYED)
    assert record.values == [(0, 21.4)]


def test_invalid_ts() -> None:
    """A record with an event time that can't be read is refused."""
    assert _errors({"ts": "noon", **ALL}) == ["ts is 'noon'; expected a number or ISO 8601"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("warm", "$.value is 'warm'; expected a number, or this text in absent"),
        ("21.4", "$.value is '21.4', a number in quotes; expected a number, or numbers = \"text\""),
        (True, "$.value is True; expected a number"),
        ([21.4], "$.value is [21.4]; expected a number"),
        ({"v": 1}, "$.value is {'v': 1}; expected a number"),
        (1e13, "$.value is 1e+13; expected a number of at most 1e+12 either way"),
        (10**400, "$.value is inf; expected a number of at most 1e+12 either way"),
    ],
)
def test_invalid_value(value: Any, reason: str) -> None:
    """What is no number is refused, with its path, what it is, and what was expected."""
    assert _errors({"value": value}, **ONE) == [reason]


def test_missing_value() -> None:
    """A record without a feature is refused, with the feature's path."""
    assert _errors({"a": {}}, features={"temperature_1": "a.t"}) == ["$.a.t is missing; expected a number"]


@pytest.mark.parametrize("text", ["21.4", " 21.4 ", "2.14e1"])
def test_numbers_in_quotes(text: str) -> None:
    """Numbers in quotes are taken where the source says so."""
    assert _values({"value": text}, numbers="text", **ONE) == {"temperature_1": 21.4}


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "1_000", "", "21,4"])
def test_text_that_is_no_number(text: str) -> None:
    """Text that Python would take for a number, or that isn't finite, is none."""
    assert _errors({"value": text}, numbers="text", **ONE)[0].startswith("$.value is ")


@pytest.mark.parametrize("value", ["unavailable", " unavailable ", None])
def test_absent(value: Any) -> None:
    """Null, and the texts of `absent`, say that there is no value."""
    assert _values({"value": value}, absent=["unavailable"], **ONE) == ABSENT


def test_absent_text_of_a_number_topic() -> None:
    """A word in the place of a plain number may be one of `absent`."""
    assert _values(b"nan", format="number", absent=["nan"], **ONE) == ABSENT


@pytest.mark.parametrize("content", [{"temperature": 21.4}, {"temperature": 21.4, "humidity": None}])
def test_partial(content: Any) -> None:
    """What a partial message lacks, or has as null, says nothing of the feature."""
    assert _values(content, features=TOP, partial=True) == {"temperature_1": 21.4}


def test_partial_without_records() -> None:
    """A partial message without any record, such as an event on the same topic, is no error."""
    assert read({"method": "NotifyEvent"}, records="values", partial=True, **KEYED) == []


def test_no_records() -> None:
    """Other messages without any record are refused."""
    assert _failure({"x": 1}, records="values", **KEYED) == "it has no record; expected at least one"


def test_unreadable_payload() -> None:
    """A payload that isn't of the source's format is refused as a whole."""
    assert _failure(b"{]", **ONE).startswith("JSON is malformed")


@pytest.mark.parametrize("quality", ["GOOD", 192, 1])
def test_good_quality(quality: Any) -> None:
    """A record counts if its quality is one of those of `good`."""
    content = {"value": 21.4, "quality": quality}
    assert _values(content, good={"quality": ["GOOD", 192, True]}, **ONE) == {"temperature_1": 21.4}


@pytest.mark.parametrize("content", [{"value": 21.4, "q": "BAD"}, {"value": "?", "q": 0}, {"value": None}])
def test_bad_quality(content: Any) -> None:
    """With any other quality, or none, the value is absent, whatever stands in its place."""
    assert _values(content, good={"q": "GOOD"}, **ONE) == ABSENT


def test_missing_is_good() -> None:
    """`missing` in `good` accepts that nothing is there, as where a good status is left out."""
    settings = {"good": {"status": [0, "missing"]}, **ONE}
    assert _values({"value": 21.4}, **settings) == {"temperature_1": 21.4}
    assert _values({"value": 21.4, "status": 0}, **settings) == {"temperature_1": 21.4}
    assert _values({"value": 21.4, "status": 2147483648}, **settings) == ABSENT


def test_quality_of_a_feature() -> None:
    """A condition of one feature says nothing of the others."""
    content = {"t": {"v": 21.4, "ok": False}, "h": 48.3}
    features = {"temperature_1": {"path": "t.v", "good": {"t.ok": True}}, "humidity_1": "h"}
    assert _values(content, features=features) == {"temperature_1": None, "humidity_1": 48.3}


@pytest.mark.parametrize("field", [{"Value": None, "Status": 5}, {"Value": 20.0, "Status": 5}])
def test_bad_quality_in_a_partial_message(field: Any) -> None:
    """A delta frame's bad status makes the feature absent, even with null; what isn't there says nothing."""
    good = {"T.Status": [0, "missing"]}
    features = {"temperature_1": {"path": "T.Value", "good": good}, "humidity_1": "H.Value"}
    assert _values({"T": field}, features=features, partial=True) == ABSENT


def test_where() -> None:
    """Records of which `where` doesn't hold belong to other sources."""
    content = [
        {"ts": 1, "position": "top", "temperature": 21.4, "humidity": 48.3},
        {"ts": 1, "position": "bottom", "temperature": 21.7, "humidity": 47.1},
        {"ts": 1},
    ]
    assert _values(content, where={"position": "top"}, features=TOP) == {
        "temperature_1": 21.4,
        "humidity_1": 48.3,
    }


def test_line_protocol() -> None:
    """A name means a field of the line; `fields.` and `tags.` are paths; times are in nanoseconds."""
    (record,) = read(
        b"climate,rack=r3 temp.top=21.4,h=48.3 1700000000000000000",
        format="influx",
        group="$.tags.rack",
        features={"temperature_1": "temp.top", "humidity_1": "fields.h"},
    )
    assert (record.group, record.ts, record.values) == ("r3", 1.7e9, [(0, 21.4), (1, 48.3)])


def test_senml() -> None:
    """SenML's records have names, values and times with their bases."""
    pack = [{"bn": "urn:x:", "bt": 1.7e9, "n": "t", "v": 21.4}, {"n": "h", "t": -10, "v": 48.3}]
    records = read(pack, format="senml", features={"temperature_1": "urn:x:t", "humidity_1": "urn:x:h"})
    assert [(record.ts, record.values) for record in records] == [
        (1.7e9, [(0, 21.4)]),
        (1.7e9 - 10, [(1, 48.3)]),
    ]


def test_many_bad_records() -> None:
    """A message with more than 100 records that can't be read is refused whole."""
    bad, good = {"ts": 1.7e9}, {"ts": 1.7e9, **ALL}
    assert len(read([good, *[bad] * 100])) == 101
    assert "more than 100 of its records" in _failure([good, *[bad] * 101])


def test_many_records() -> None:
    """A message with more than 10,000 records is refused whole."""
    assert len(read([{"ts": 1.7e9, **ALL}] * 10_000)) == 10_000
    assert "more than 10000 records" in _failure([{"ts": 1.7e9, **ALL}] * 10_001)
