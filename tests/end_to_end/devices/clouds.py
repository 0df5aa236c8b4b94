"""Clouds, agents and their formats."""

import cbor2
import msgspec

from tests.end_to_end.devices.step import Message, Step, iso, message

__all__ = [
    "aws_iot",
    "aws_shadow",
    "cbor",
    "influx",
    "msgpack",
    "senml",
    "telegraf",
    "telegraf_tags",
    "thingsboard",
]

_POSITIONS = ("top", "bottom")


def aws_iot(now: Step, _before: Step | None) -> list[Message]:
    """Return an object with a part for each sensor."""
    parts = {
        place: {"temperature": climate.temperature, "humidity": climate.humidity}
        for place, climate in zip(_POSITIONS, now, strict=True)
    }
    return [message("dt/climate/berlin/rack3", {"timestamp": now.top.ts * 1000, **parts})]


def _flat(step: Step) -> dict[str, float]:
    return {
        f"{name}_{place}": value
        for place, climate in zip(_POSITIONS, step, strict=True)
        for name, value in (("temperature", climate.temperature), ("humidity", climate.humidity))
    }


def aws_shadow(now: Step, before: Step | None) -> list[Message]:
    """Return the shadow's document after an update: what was reported before, and now."""
    content = {
        "previous": {"state": {"reported": _flat(before) if before else {}}, "version": 10},
        "current": {
            "state": {"desired": {"interval": 60}, "reported": _flat(now)},
            "metadata": {"reported": {name: {"timestamp": now.top.ts} for name in _flat(now)}},
            "version": 11,
        },
        "timestamp": now.top.ts,
    }
    return [message("$aws/things/rack3/shadow/update/documents", content)]


def telegraf(now: Step, _before: Step | None) -> list[Message]:
    """Return a metric with four fields."""
    tags = {"host": "pi7", "rack": "rack3"}
    metric = {"fields": _flat(now), "name": "climate", "tags": tags, "timestamp": now.top.ts}
    return [message("telegraf/pi7/climate", metric)]


def telegraf_tags(now: Step, _before: Step | None) -> list[Message]:
    """Return a batch of metrics with one field each, whose tag names the sensor."""
    metrics = [
        {
            "fields": {"value": value},
            "name": "climate",
            "tags": {"host": "pi7", "rack": "rack3", "sensor": f"{name}-{place}"},
            "timestamp": climate.ts,
        }
        for place, climate in zip(_POSITIONS, now, strict=True)
        for name, value in (("temperature", climate.temperature), ("humidity", climate.humidity))
    ]
    return [message("telegraf/pi7/sensors", {"metrics": metrics})]


def influx(now: Step, _before: Step | None) -> list[Message]:
    """Return a line for each sensor, and one of the machine itself."""
    lines = [
        f"climate,host=pi7,position={place},rack=rack3 "
        f"temperature={climate.temperature},humidity={climate.humidity} {climate.ts}000000000"
        for place, climate in zip(_POSITIONS, now, strict=True)
    ]
    lines.append(f"cpu,cpu=cpu-total,host=pi7 usage_idle=96.4 {now.bottom.ts}000000000")
    return [Message("influx/pi7", "\n".join([*lines, ""]).encode())]


def senml(now: Step, _before: Step | None) -> list[Message]:
    """Return a pack of each sensor, with base name, base time and units."""
    return [
        message(
            "senml/rack3",
            [
                {
                    "bn": f"urn:dev:mac:0024befffe804ff1/{place}/",
                    "bt": climate.ts,
                    "n": "temperature",
                    "u": "Cel",
                    "v": climate.temperature,
                },
                {"n": "humidity", "u": "%RH", "v": climate.humidity},
            ],
        )
        for place, climate in zip(_POSITIONS, now, strict=True)
    ]


def thingsboard(now: Step, _before: Step | None) -> list[Message]:
    """Return the telemetry of a device, with its name as key."""
    values = {
        "temperatureTop": now.top.temperature,
        "humidityTop": now.top.humidity,
        "temperatureBottom": now.bottom.temperature,
        "humidityBottom": now.bottom.humidity,
    }
    return [message("v1/gateway/telemetry", {"Rack 3": [{"ts": now.top.ts * 1000, "values": values}]})]


def _short(step: Step) -> dict[str, float]:
    return {
        "t1": step.top.temperature,
        "h1": step.top.humidity,
        "t2": step.bottom.temperature,
        "h2": step.bottom.humidity,
    }


def msgpack(now: Step, _before: Step | None) -> list[Message]:
    """Return a map as MessagePack."""
    return [Message("climate/rack3", msgspec.msgpack.encode({"ts": now.top.ts, **_short(now)}))]


def cbor(now: Step, _before: Step | None) -> list[Message]:
    """Return a map as CBOR, whose time has CBOR's tag for text."""
    ts = cbor2.CBORTag(0, f"{iso(now.top.ts)}Z")
    return [Message("climate/rack3", cbor2.dumps({"ts": ts, **_short(now)}))]
