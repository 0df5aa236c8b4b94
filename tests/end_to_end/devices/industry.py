"""PLC gateways, OPC UA and unified namespaces."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.end_to_end.devices.step import Message, Step, iso, message

__all__ = [
    "kepware",
    "node_red",
    "opcua_dataset",
    "opcua_delta",
    "opcua_network_message",
    "tags",
    "tags_json",
]


class _Tag(NamedTuple):
    name: str
    ts: int
    value: float


def _tags(step: Step) -> list[_Tag]:
    return [
        _Tag(f"{quantity}{place}", climate.ts, value)
        for place, climate in zip(("Top", "Bottom"), step, strict=True)
        for quantity, value in (("Temp", climate.temperature), ("Hum", climate.humidity))
    ]


def _changed(now: Step, before: Step | None) -> list[_Tag]:
    known = {tag.name: tag.value for tag in _tags(before)} if before else {}
    return [tag for tag in _tags(now) if known.get(tag.name) != tag.value]


def kepware(now: Step, before: Step | None) -> list[Message]:
    """Return the tags that changed, and one of another machine, in the wide format."""
    values: list[dict[str, Any]] = [
        {"id": f"Channel1.Rack3.{tag.name}", "v": tag.value, "q": True, "t": tag.ts * 1000}
        for tag in _changed(now, before)
    ]
    values.append({"id": "Channel1.Press.Force", "v": 812, "q": True, "t": now.bottom.ts * 1000})
    return [message("iotgateway", {"timestamp": now.bottom.ts * 1000, "values": values})]


def node_red(now: Step, before: Step | None) -> list[Message]:
    """Return the tags that changed as an array of records."""
    records = [
        {"id": tag.name, "v": tag.value, "q": 192, "t": f"{iso(tag.ts)}.000Z"}
        for tag in _changed(now, before)
    ]
    return [message("plant/line1/tags", records)]


def tags(now: Step, _before: Step | None) -> list[Message]:
    """Return each tag on its topic, as a plain number."""
    return [Message(f"acme/line1/rack3/{tag.name}", str(tag.value).encode()) for tag in _tags(now)]


def tags_json(now: Step, before: Step | None) -> list[Message]:
    """Return each tag that changed on its topic, with time and quality."""
    return [
        message(
            f"acme/line1/rack3/{tag.name}",
            {"value": tag.value, "timestamp": tag.ts * 1000, "quality": "GOOD"},
        )
        for tag in _changed(now, before)
    ]


def _data_set_message(tags: list[_Tag], encode: Callable[[_Tag], Any], **extra: Any) -> dict[str, Any]:
    return {
        "DataSetWriterId": 62541,
        "SequenceNumber": 4711,
        "MetaDataVersion": {"MajorVersion": 672338910, "MinorVersion": 672341762},
        "Timestamp": f"{iso(max(tag.ts for tag in tags))}Z",
        "Status": 0,
        **extra,
        "Payload": {tag.name: encode(tag) for tag in tags},
    }


def _data_value(tag: _Tag) -> dict[str, Any]:
    return {"Value": tag.value, "SourceTimestamp": f"{iso(tag.ts)}Z"}


def opcua_dataset(now: Step, _before: Step | None) -> list[Message]:
    """Return a DataSetMessage without a NetworkMessage around it."""
    return [message("opcua/line1/climate", _data_set_message(_tags(now), _data_value))]


def _network_message(topic: str, *messages: dict[str, Any]) -> Message:
    content = {
        "MessageId": "32235546-05d9-4fd7-97df-ea3ff3408574",
        "MessageType": "ua-data",
        "PublisherId": "press-shop",
        "Messages": list(messages),
    }
    return message(topic, content)


def opcua_network_message(now: Step, _before: Step | None) -> list[Message]:
    """Return a NetworkMessage with the key frame of one DataSetWriter."""
    data = _data_set_message(_tags(now), lambda tag: tag.value, DataSetWriterName="rack3")
    return [_network_message("opcua/json/data/press-shop", data)]


def opcua_delta(now: Step, before: Step | None) -> list[Message]:
    """Return a NetworkMessage with what changed; a status that is good is left out."""
    changed = _changed(now, before)
    data = _data_set_message(changed, _data_value, MessageType="ua-deltaframe" if before else "ua-keyframe")
    return [_network_message("opcua/json/data/press-shop/line1", data)]
