import math
from typing import Any

import numpy as np
import pytest

from monitor.config.settings import Settings
from monitor.core.readings import Arrivals
from monitor.core.values import ValueOutcome
from monitor.ingest.decoded_messages import DecodedMessages, Decoder
from monitor.ingest.formats.sparkplug import SparkplugFormat
from monitor.ingest.formats.sparkplug_schema import DataType
from monitor.service.settings_to_decoder import build_decoder
from tests.support.sparkplug_messages import DATA_SET, Metric, encode_payload

FEATURES = ("temperature", "humidity")
NOW = 1_790_000_000_000
"""Milliseconds since 1970."""
DEVICES = {
    "topic": "spBv1.0/{site}/DDATA/{edge}/{device}",
    "format": "sparkplug",
    "features": {"temperature": "Temp/Top", "humidity": {"path": "Hum", "scale": 0.1}},
}
NODE_BIRTH = ("NBIRTH/edge", [Metric("bdSeq", 1, DataType.INT64), Metric("Load", 7.0, alias=1)])
BIRTH = (
    "DBIRTH/edge/rack",
    [
        Metric("Temp/Top", 21.5, alias=10),
        Metric("Hum", 400, DataType.INT16, alias=11),
        Metric("Label", "a", DataType.STRING),
    ],
)
Sent = tuple[str, list[Metric]]


def make_decoder(*sources: dict[str, Any], births: dict[str, bytes] | None = None) -> Decoder:
    """Return a decoder as the daemon builds it."""
    settings = Settings.model_validate({"input": {"sources": list(sources or [DEVICES])}})
    return build_decoder(settings, FEATURES, births)


def send(
    decoder: Decoder, *messages: Sent, arrived: float = NOW / 1e3, ms: int | None = NOW
) -> DecodedMessages:
    """Decode messages as one batch; `ms` is the time in the payloads."""
    times = np.full(len(messages), arrived)
    batch = [
        (f"spBv1.0/press/{topic}", encode_payload(metrics, ms, 0), object(), 0) for topic, metrics in messages
    ]
    return decoder.decode(batch, Arrivals(times, times, np.zeros(len(messages))))


def values(decoded: DecodedMessages) -> list[tuple[str, str, Any, int]]:
    """Return group, feature, value (None: absent) and time in ms after NOW of each value."""
    found = decoded.values
    assert found is not None
    return [
        (group, FEATURES[feature], None if math.isnan(value) else pytest.approx(value), round(ts * 1e3) - NOW)
        for group, feature, value, ts in zip(
            found.groups, found.features, found.values.tolist(), found.ts.tolist(), strict=True
        )
    ]


def test_births_and_data() -> None:
    """Births and data give the values that sources name, of the device's group, with their times."""
    decoder = make_decoder()
    decoded = send(decoder, NODE_BIRTH, BIRTH)
    assert values(decoded) == [
        ("press/edge/rack", "temperature", 21.5, 0),
        ("press/edge/rack", "humidity", 40.0, 0),
    ]
    data = [
        Metric(alias=11, value=401, datatype=DataType.INT16, timestamp=NOW + 70),
        Metric(alias=10, value=22.0),
    ]
    decoded = send(decoder, ("DDATA/edge/rack", data), ms=NOW + 100)
    assert values(decoded) == [
        ("press/edge/rack", "humidity", 40.1, 70),
        ("press/edge/rack", "temperature", 22.0, 100),
    ]
    assert (decoded.rejected_values, decoded.requests) == ([], [])
    assert decoded.births == {}, "data declares nothing"


def test_historical_values() -> None:
    """A value that was stored meanwhile counts at its own time."""
    decoder = make_decoder()
    send(decoder, NODE_BIRTH, BIRTH)
    metric = Metric(alias=10, value=20.0, timestamp=NOW - 5000, is_historical=True)
    assert values(send(decoder, ("DDATA/edge/rack", [metric]))) == [
        ("press/edge/rack", "temperature", 20.0, -5000)
    ]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (Metric("Temp/Top", 20.0, quality=192), 20.0),
        (Metric("Temp/Top", 20.0, quality=216), 20.0),
        (Metric("Temp/Top", 20.0, quality=0), None),
        (Metric("Temp/Top", 20.0, quality=64), None),
        (Metric("Temp/Top", 20.0, quality=500), None),
        (Metric("Temp/Top"), None),
        (Metric("Temp/Top", datatype=DATA_SET), None),
    ],
    ids=["good", "local-override", "bad", "uncertain", "stale", "null", "dataset"],
)
def test_quality(metric: Metric, expected: float | None) -> None:
    """A value is absent if its quality is not a good one, or if it is null or no number at all."""
    decoder = make_decoder()
    send(decoder, NODE_BIRTH, BIRTH)
    assert values(send(decoder, ("DDATA/edge/rack", [metric]))) == [
        ("press/edge/rack", "temperature", expected, 0)
    ]


def test_own_qualities() -> None:
    """Settings may say which qualities are good."""
    decoder = make_decoder({**DEVICES, "good": {"quality": ["missing", 64]}})
    send(decoder, NODE_BIRTH, BIRTH)
    metrics = [Metric("Temp/Top", 20.0, quality=64), Metric("Hum", 300.0, quality=192)]
    assert [value for _, _, value, _ in values(send(decoder, ("DDATA/edge/rack", metrics)))] == [20.0, None]


def test_unknown_alias() -> None:
    """Unknown aliases are refused and ask for a rebirth: one NCMD to the edge node until its birth."""
    decoder = make_decoder()
    data = ("DDATA/edge/rack", [Metric(alias=10, value=22.0)])
    decoded = send(decoder, data, data, ("DDATA/other/rack", [Metric(alias=10, value=22.0)]))
    assert values(decoded) == []
    assert [(rejected.outcome, rejected.source) for rejected in decoded.rejected_values] == [
        (ValueOutcome.MALFORMED, "spBv1.0/press/DDATA/edge/rack"),
        (ValueOutcome.MALFORMED, "spBv1.0/press/DDATA/edge/rack"),
        (ValueOutcome.MALFORMED, "spBv1.0/press/DDATA/other/rack"),
    ]
    assert [(request.topic, request.is_full_topic, request.retain) for request in decoded.requests] == [
        ("spBv1.0/press/NCMD/edge", True, False),
        ("spBv1.0/press/NCMD/other", True, False),
    ]
    payload = SparkplugFormat().parse(decoded.requests[0].payload)
    assert payload["timestamp"] == NOW
    assert [(metric["name"], metric["value"]) for metric in payload["metrics"]] == [
        ("Node Control/Rebirth", True)
    ]
    assert send(decoder, data).requests == []
    send(decoder, NODE_BIRTH, BIRTH)
    decoded = send(decoder, data)
    assert (len(values(decoded)), decoded.requests) == (1, [])


def test_node_death() -> None:
    """A node's death makes each feature of all its devices absent, from its arrival on."""
    decoder = make_decoder()
    other_birth = ("DBIRTH/edge/other", [Metric("Temp/Top", 21.5, alias=20)])
    send(decoder, NODE_BIRTH, BIRTH, other_birth)
    death = ("NDEATH/edge", [Metric("bdSeq", 1, DataType.INT64)])
    decoded = send(decoder, death, arrived=NOW / 1e3 + 9, ms=NOW - 10_000)
    assert values(decoded) == [
        ("press/edge/rack", "temperature", None, 9000),
        ("press/edge/rack", "humidity", None, 9000),
        ("press/edge/other", "temperature", None, 9000),
    ]
    assert decoded.births == {"press/edge": b""}
    assert decoded.values is not None
    assert decoded.values.is_arrival_ts is None, "the group still has event times"


def test_device_death() -> None:
    """A device's death makes its features absent from its time on, even if it died as it last sent."""
    decoder = make_decoder()
    send(decoder, NODE_BIRTH, BIRTH, ("DBIRTH/edge/other", [Metric("Temp/Top", 21.5, alias=20)]))
    assert values(send(decoder, ("DDEATH/edge/rack", []), ms=NOW + 500)) == [
        ("press/edge/rack", "temperature", None, 500),
        ("press/edge/rack", "humidity", None, 500),
    ]
    assert values(send(decoder, ("DDEATH/edge/other", []), ms=NOW)) == [
        ("press/edge/other", "temperature", None, 1)
    ]


def test_death_of_a_node_whose_clock_is_ahead() -> None:
    """A death follows all that the node said before, also where its clock is ahead; not if it is wrong."""
    decoder = make_decoder()
    send(decoder, NODE_BIRTH, BIRTH, ms=NOW + 3000)
    send(decoder, ("DDATA/edge/rack", [Metric(alias=10, value=1.0, timestamp=NOW + 10**8)]))
    assert [ts for *_, ts in values(send(decoder, ("NDEATH/edge", []), ms=None))] == [3001, 3001]


def test_metrics_of_nodes() -> None:
    """Metrics of the edge node itself are read by a source of its own, beside those of its devices."""
    node = {
        "topic": "spBv1.0/{site}/NDATA/{edge}",
        "format": "sparkplug",
        "features": {"temperature": "Load"},
    }
    decoder = make_decoder(node, DEVICES)
    assert values(send(decoder, NODE_BIRTH, BIRTH)) == [
        ("press/edge", "temperature", 7.0, 0),
        ("press/edge/rack", "temperature", 21.5, 0),
        ("press/edge/rack", "humidity", 40.0, 0),
    ]
    assert values(send(decoder, ("NDATA/edge", [Metric(alias=1, value=8.0)]))) == [
        ("press/edge", "temperature", 8.0, 0)
    ]
    assert len(values(send(decoder, ("NDEATH/edge", []), ms=None))) == 3


def test_two_devices_of_a_group() -> None:
    """Two sources may make one group of two devices; each message is taken once."""
    sources = [
        {
            "topic": f"spBv1.0/{{site}}/DDATA/edge/{{rack}}_{place}",
            "format": "sparkplug",
            "features": {name: "V"},
        }
        for place, name in (("top", "temperature"), ("low", "humidity"))
    ]
    decoder = make_decoder(*sources)
    births = [
        ("DBIRTH/edge/r1_top", [Metric("V", 1.0, alias=1)]),
        ("DBIRTH/edge/r1_low", [Metric("V", 2.0, alias=2)]),
    ]
    expected = [("press/r1", "temperature", 1.0, 0), ("press/r1", "humidity", 2.0, 0)]
    assert values(send(decoder, NODE_BIRTH, *births)) == expected
    assert values(send(decoder, ("NDEATH/edge", []), ms=None))[0][:3] == ("press/r1", "temperature", None)
    unmatched = send(decoder, ("DDATA/edge/press", [Metric("V", 1.0)]))
    assert [rejected.outcome for rejected in unmatched.rejected_values] == [ValueOutcome.UNMATCHED]


def test_births_for_the_store() -> None:
    """With the births that another process took, data by alias is understood."""
    births = dict(send(make_decoder(), NODE_BIRTH, BIRTH).births)
    assert set(births) == {"press/edge"}
    decoder = make_decoder(births=births)
    decoded = send(decoder, ("DDATA/edge/rack", [Metric(alias=10, value=22.0)]))
    assert values(decoded) == [("press/edge/rack", "temperature", 22.0, 0)]
    assert (decoded.births, decoded.requests) == ({}, [])


def test_unusable_births() -> None:
    """Births that are damaged, or of nodes that no source reads, are deleted from the store."""
    births = dict(send(make_decoder(), NODE_BIRTH, BIRTH).births)
    source = {**DEVICES, "topic": "spBv1.0/{site}/DDATA/edge/{device}"}
    decoder = make_decoder(source, births={"press/edge": b"damaged", "press/x": births["press/edge"]})
    decoded = send(decoder)
    assert decoded.births == {"press/edge": b"", "press/x": b""}
    assert len(send(decoder, ("DDATA/edge/rack", [Metric(alias=10, value=1.0)])).requests) == 1


def test_unreadable_payload() -> None:
    """A payload that is no Sparkplug is refused with its topic."""
    batch = [("spBv1.0/press/DDATA/edge/rack", b"{}", object(), 0)]
    one = np.full(1, NOW / 1e3)
    decoded = make_decoder().decode(batch, Arrivals(one, one, np.zeros(1)))
    (rejected,) = decoded.rejected_values
    assert rejected.outcome == ValueOutcome.MALFORMED
    assert rejected.reason.startswith("no Sparkplug B payload")


def test_forget() -> None:
    """A group that is forgotten is read again when it sends again."""
    decoder = make_decoder()
    send(decoder, NODE_BIRTH, BIRTH)
    decoder.forget("press/edge/rack")
    assert len(values(send(decoder, ("DDATA/edge/rack", [Metric(alias=10, value=1.0)])))) == 1
