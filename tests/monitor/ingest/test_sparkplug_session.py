from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.ingest.formats.sparkplug import SparkplugFormat
from monitor.ingest.formats.sparkplug_schema import DataType
from monitor.ingest.sparkplug_session import Resolved, SparkplugSession, rebirth_payload
from tests.support.sparkplug_messages import Metric, encode_payload

FORMAT = SparkplugFormat()
NOW = 1_790_000_000_000
NODE_BIRTH = [Metric("bdSeq", 1, DataType.INT64), Metric("Uptime", 7, DataType.INT32, alias=1)]
NOTHING = Resolved([])
ASKS = Resolved([], needs_rebirth=True, unknown=1)
DEVICE_BIRTH = [
    Metric("Temp/Top", 21.5, alias=10),
    Metric("Temp/Low", -4, DataType.INT16, alias=11),
    Metric("Humidity", 40.5, DataType.FLOAT),
]


def send(
    session: SparkplugSession, message_type: str, device: str, metrics: list[Metric], edge: str = "edge"
) -> Resolved:
    """Pass a message to the session as it comes from the broker."""
    payload = FORMAT.parse(encode_payload(metrics, NOW, 0))
    return session.update(message_type, "plant", edge, device, payload)


def born(edges: tuple[str, ...] = ("edge",), **limits: int) -> SparkplugSession:
    """Return a session in which edge nodes with a device `rack` are born."""
    session = SparkplugSession(**limits)
    for edge in edges:
        send(session, "NBIRTH", "", NODE_BIRTH, edge)
        send(session, "DBIRTH", "rack", DEVICE_BIRTH, edge)
    return session


def values(resolved: Resolved) -> dict[tuple[str, str], Any]:
    """Return the values by device and name."""
    return {(record["device"], record["name"]): record["value"] for record in resolved.records}


def test_birth() -> None:
    """Births give the values of their metrics, with times and quality."""
    session = SparkplugSession()
    assert values(send(session, "NBIRTH", "", NODE_BIRTH)) == {("", "bdSeq"): 1, ("", "Uptime"): 7}
    metric = Metric("Temp/Top", 21.5, alias=10, timestamp=NOW - 5, quality=192, is_historical=True)
    assert send(session, "DBIRTH", "rack", [metric, Metric("Label", "a", DataType.STRING)]).records == [
        {
            "device": "rack",
            "name": "Temp/Top",
            "value": 21.5,
            "timestamp": NOW - 5,
            "is_historical": True,
            "quality": 192,
        },
        {
            "device": "rack",
            "name": "Label",
            "value": "a",
            "timestamp": NOW,
            "is_historical": False,
            "quality": None,
        },
    ]


def test_data_by_alias() -> None:
    """Data with aliases alone gets names and types from the births."""
    session = born()
    data = [
        Metric(alias=11, value=-5, datatype=DataType.INT16, sends_datatype=False),
        Metric(alias=10, value=22.5),
        Metric(alias=10, value=None),
    ]
    resolved = send(session, "DDATA", "rack", data)
    assert [(record["name"], record["value"]) for record in resolved.records] == [
        ("Temp/Low", -5),
        ("Temp/Top", 22.5),
        ("Temp/Top", None),
    ]
    assert not resolved.needs_rebirth
    assert values(send(session, "NDATA", "", [Metric(alias=1, value=8, datatype=DataType.INT32)])) == {
        ("", "Uptime"): 8
    }


def test_data_by_name() -> None:
    """Data with names needs no aliases; the type may come from the birth."""
    data = [
        Metric("Temp/Low", -5, DataType.INT16, sends_datatype=False),
        Metric("Humidity", 41.5, DataType.FLOAT),
        Metric("New", 1, DataType.INT8),
    ]
    resolved = send(born(), "DDATA", "rack", data)
    assert values(resolved) == {("rack", "Temp/Low"): -5, ("rack", "Humidity"): 41.5, ("rack", "New"): 1}
    assert not resolved.needs_rebirth


@pytest.mark.parametrize(
    ("device", "metric"),
    [
        ("rack", Metric(alias=99, value=1.0)),
        ("rack", Metric(alias=1, value=1.0)),
        ("rack", Metric(value=1.0)),
        ("rack", Metric("New", 1, DataType.INT8, sends_datatype=False)),
        ("other", Metric(alias=10, value=1.0)),
    ],
    ids=["unknown-alias", "alias-of-the-node", "no-name", "no-type", "unborn-device"],
)
def test_unresolved(device: str, metric: Metric) -> None:
    """What can't be resolved gives no record, and asks for a rebirth once until the node's birth."""
    session = born()
    assert send(session, "DDATA", device, [metric]) == ASKS
    assert send(session, "DDATA", device, [metric]) == Resolved([], unknown=1)
    send(session, "DBIRTH", "rack", DEVICE_BIRTH)
    assert not send(session, "DDATA", device, [metric]).needs_rebirth
    send(session, "NBIRTH", "", NODE_BIRTH)
    send(session, "DBIRTH", "rack", DEVICE_BIRTH)
    assert send(session, "DDATA", device, [metric]).needs_rebirth


def test_data_before_birth() -> None:
    """Data with name and type before any birth is taken, and asks for a rebirth."""
    resolved = send(SparkplugSession(), "DDATA", "rack", [Metric("Temp/Top", 22.5)])
    assert (values(resolved), resolved.needs_rebirth) == ({("rack", "Temp/Top"): 22.5}, True)


def test_second_birth() -> None:
    """A birth replaces what was declared; a node's birth that of its devices too."""
    session = born()
    send(session, "DBIRTH", "rack", [Metric("Humidity", 40.5, alias=10)])
    assert values(send(session, "DDATA", "rack", [Metric(alias=10, value=41.5)])) == {
        ("rack", "Humidity"): 41.5
    }
    assert send(session, "DDATA", "rack", [Metric(alias=11, value=1.0)]) == ASKS
    send(session, "NBIRTH", "", NODE_BIRTH)
    assert send(session, "DDATA", "rack", [Metric(alias=10, value=41.5)]) == ASKS


def test_alias_declared_twice() -> None:
    """An alias belongs to the last metric that declared it, and to none once that is gone."""
    session = born()
    send(session, "DBIRTH", "other", [Metric("a", 1.0, alias=10), Metric("b", 1.0, alias=10)])
    assert values(send(session, "DDATA", "other", [Metric(alias=10, value=2.0)])) == {("other", "b"): 2.0}
    send(session, "DDEATH", "other", [])
    session.load("plant/edge", session.dump("plant/edge"))
    assert send(session, "DDATA", "rack", [Metric(alias=10, value=2.0)]) == ASKS


def test_node_death() -> None:
    """A node's death makes all metrics of node and devices absent, at an unknown time."""
    session = born()
    resolved = send(session, "NDEATH", "", [Metric("bdSeq", 1, DataType.INT64)])
    names = {("", "bdSeq"), ("", "Uptime"), ("rack", "Temp/Top"), ("rack", "Temp/Low"), ("rack", "Humidity")}
    assert values(resolved) == dict.fromkeys(names)
    assert {record["timestamp"] for record in resolved.records} == {None}
    assert session.keys == ()
    assert send(session, "NDEATH", "", []) == NOTHING


def test_will_of_an_earlier_connection() -> None:
    """A death whose number isn't that of the last birth is ignored; without a number it counts."""
    session = born()
    assert send(session, "NDEATH", "", [Metric("bdSeq", 0, DataType.INT64)]) == NOTHING
    assert session.keys == ("plant/edge",)
    assert send(session, "NDEATH", "", []).records


def test_device_death() -> None:
    """A device's death makes its metrics absent; it has to be born again."""
    session = born()
    resolved = send(session, "DDEATH", "rack", [])
    assert values(resolved) == dict.fromkeys(
        [("rack", "Temp/Top"), ("rack", "Temp/Low"), ("rack", "Humidity")]
    )
    assert {record["timestamp"] for record in resolved.records} == {NOW}
    assert send(session, "DDEATH", "rack", []) == NOTHING
    assert send(session, "NDATA", "", [Metric(alias=1, value=1.0)]).records
    assert send(session, "DDATA", "rack", [Metric(alias=10, value=1.0)]) == ASKS


@pytest.mark.parametrize("message_type", ["NCMD", "DCMD", "STATE", "nbirth"])
def test_other_messages(message_type: str) -> None:
    """Commands and states say nothing of a metric."""
    session = born()
    session.take_dirty()
    assert send(session, message_type, "rack", DEVICE_BIRTH) == NOTHING
    assert session.take_dirty() == set()


def test_dirty() -> None:
    """Births and deaths change what has to be stored; data does not."""
    session = born(("a", "b"))
    assert session.take_dirty() == {"plant/a", "plant/b"}
    send(session, "DDATA", "rack", [Metric(alias=10, value=1.0)], "a")
    assert session.take_dirty() == set()
    send(session, "DDEATH", "rack", [], "a")
    assert session.take_dirty() == {"plant/a"}
    send(session, "NDEATH", "", [], "b")
    assert session.take_dirty() == {"plant/b"}
    assert session.dump("plant/b") == b""


def test_damaged_dump() -> None:
    """What no session has dumped is refused with its reason."""
    session = born()
    content = session.dump("plant/edge")
    with pytest.raises(ValueError, match="damaged"):
        session.load("plant/edge", content[:-1])
    with pytest.raises(ValueError, match="version 2; expected 1"):
        session.load("plant/edge", content.replace(b"\xa7version\x01", b"\xa7version\x02"))
    session.load("plant/edge", b"")
    assert session.keys == ()


def test_max_edges() -> None:
    """Beyond the limit the edge node whose birth is longest ago is forgotten, and asked when it sends."""
    session = born(("a", "b"), max_edges=2)
    send(session, "DBIRTH", "rack", DEVICE_BIRTH, "a")
    session.take_dirty()
    send(session, "NBIRTH", "", NODE_BIRTH, "c")
    assert set(session.keys) == {"plant/a", "plant/c"}
    assert session.take_dirty() == {"plant/b", "plant/c"}
    assert send(session, "DDATA", "rack", [Metric(alias=10, value=1.0)], "b") == ASKS


def test_max_metrics() -> None:
    """Metrics of all edge nodes together are limited; deaths make room; one node can't exceed it alone."""
    session = born(("a", "b"), max_metrics=10)
    assert len(session.keys) == 2
    send(session, "DDEATH", "rack", [], "a")
    send(session, "DBIRTH", "rack", DEVICE_BIRTH, "c")
    assert len(session.keys) == 3
    send(session, "DBIRTH", "rack", [Metric(f"m{number}", 1.0) for number in range(8)], "d")
    assert set(session.keys) == {"plant/d"}
    send(session, "DBIRTH", "rack2", DEVICE_BIRTH, "d")
    assert session.keys == ()


def test_names() -> None:
    """Of metrics that nobody asks for, only the aliases are known, and they take less of the limit."""
    session = SparkplugSession({"Humidity", "New"}, max_metrics=4)
    send(session, "NBIRTH", "", NODE_BIRTH)
    assert values(send(session, "DBIRTH", "rack", DEVICE_BIRTH)) == {("rack", "Humidity"): 40.5}
    assert session.keys == ("plant/edge",)
    data = [
        Metric(alias=10, value=1.0),
        Metric("Temp/Low", 2, DataType.INT16, sends_datatype=False),
        Metric("New", 3.0, alias=11),
    ]
    assert values(send(session, "DDATA", "rack", data)) == {("rack", "New"): 3.0}
    other = SparkplugSession({"Humidity", "New"})
    other.load("plant/edge", session.dump("plant/edge"))
    assert send(other, "DDATA", "rack", [Metric(alias=10, value=1.0)]) == NOTHING
    assert send(other, "DDATA", "rack", [Metric(alias=12, value=1.0)]) == ASKS
    with pytest.raises(ValueError, match="of 2 metrics; expected the 1 that are asked for"):
        SparkplugSession({"Humidity"}).load("plant/edge", session.dump("plant/edge"))
    assert values(send(session, "DDEATH", "rack", [])) == {("rack", "Humidity"): None}


METRICS = st.lists(
    st.builds(
        Metric,
        name=st.sampled_from(["", "a", "b", "bdSeq"]),
        value=st.sampled_from([1, -2, None]),
        datatype=st.sampled_from([DataType.INT8, DataType.INT64]),
        alias=st.sampled_from([None, 0, 1, 2]),
        sends_datatype=st.booleans(),
    ),
    max_size=3,
)
MESSAGES = st.lists(
    st.tuples(
        st.sampled_from(["NBIRTH", "DBIRTH", "NDATA", "DDATA", "DDATA", "NDEATH", "DDEATH"]),
        st.sampled_from(["x", "y"]),
        METRICS,
        st.sampled_from(["e", "f", "g"]),
    ),
    max_size=12,
)


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(before=MESSAGES, after=MESSAGES)
def test_moved(before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]) -> None:
    """After all edge nodes were moved to another session, the records are the same as without a move."""
    session, moved = SparkplugSession(), SparkplugSession()
    for message_type, device, metrics, edge in before:
        send(session, message_type, device, metrics, edge)
    for key in session.keys:
        moved.load(key, session.dump(key))
    assert moved.keys == session.keys
    for message_type, device, metrics, edge in after:
        expected = send(session, message_type, device, metrics, edge)
        assert send(moved, message_type, device, metrics, edge).records == expected.records
    assert [moved.dump(key) for key in moved.keys] == [session.dump(key) for key in session.keys]


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(messages=MESSAGES, with_names=st.booleans())
def test_limits_hold(messages: list[tuple[Any, ...]], *, with_names: bool) -> None:
    """Whatever comes, no more is kept than the limits say, and what is dirty tells all changes."""
    session = SparkplugSession({"a", "bdSeq"} if with_names else None, max_edges=2, max_metrics=4)
    stored: dict[str, bytes] = {}
    for message_type, device, metrics, edge in messages:
        send(session, message_type, device, metrics, edge)
        stored |= {key: session.dump(key) for key in session.take_dirty()}
        kept = {key: session.dump(key) for key in session.keys}
        assert len(kept) <= 2
        assert {key: content for key, content in stored.items() if content} == kept


def test_rebirth_payload() -> None:
    """The command is a boolean metric with the specification's name."""
    payload = FORMAT.parse(rebirth_payload(NOW))
    (metric,) = payload["metrics"]
    assert payload["timestamp"] == NOW
    assert (metric["name"], metric["datatype"], metric["value"]) == ("Node Control/Rebirth", 11, True)
