"""An edge node of Sparkplug B, with one device."""

from typing import NamedTuple

from monitor.ingest.formats.sparkplug_schema import DataType
from tests.end_to_end.devices.step import Climate, Message, Step
from tests.support.sparkplug_messages import Metric, encode_payload

__all__ = ["births", "sparkplug_b"]

_ALIAS_BY_NAME = {
    "Climate/Top/Temperature": 11,
    "Climate/Top/Humidity": 12,
    "Climate/Bottom/Temperature": 13,
    "Climate/Bottom/Humidity": 14,
    "Press/Force": 15,
}
_GOOD = 192


class _Tag(NamedTuple):
    name: str
    climate: Climate
    value: float


def sparkplug_b(now: Step, before: Step | None) -> list[Message]:
    """Return the births at first, then the metrics that changed by their aliases, and one of another kind."""
    if before is None:
        return births(now)
    metrics = [
        Metric(
            alias=_ALIAS_BY_NAME[tag.name],
            value=tag.value,
            timestamp=tag.climate.ts * 1000,
            sends_datatype=False,
            quality=_GOOD,
        )
        for tag, previous in zip(_tags(now), _tags(before), strict=True)
        if tag.value != previous.value
    ]
    metrics.append(Metric(alias=15, value=812.0))
    return [_message("DDATA/gateway1/rack3", metrics, now, 2)]


def births(now: Step) -> list[Message]:
    """Return the births of the edge node and of its device."""
    node = [
        Metric("bdSeq", 0, DataType.INT64),
        Metric("Node Control/Rebirth", value=False, datatype=DataType.BOOLEAN),
    ]
    device = [
        Metric(tag.name, tag.value, alias=_ALIAS_BY_NAME[tag.name], timestamp=tag.climate.ts * 1000)
        for tag in _tags(now)
    ]
    device.append(Metric("Press/Force", 811.0, alias=15))
    return [_message("NBIRTH/gateway1", node, now, 0), _message("DBIRTH/gateway1/rack3", device, now, 1)]


def _tags(step: Step) -> list[_Tag]:
    return [
        _Tag(f"Climate/{place}/{quantity}", climate, value)
        for place, climate in zip(("Top", "Bottom"), step, strict=True)
        for quantity, value in (("Temperature", climate.temperature), ("Humidity", climate.humidity))
    ]


def _message(topic: str, metrics: list[Metric], now: Step, seq: int) -> Message:
    return Message(f"spBv1.0/press-shop/{topic}", encode_payload(metrics, now.bottom.ts * 1000, seq))
