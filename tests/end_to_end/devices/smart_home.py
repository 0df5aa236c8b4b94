"""Devices for the home, and Home Assistant."""

from datetime import datetime
from typing import Any

from tests.end_to_end.devices.step import BERLIN, Message, Step, iso, message

__all__ = [
    "esphome",
    "home_assistant",
    "shelly_gen1",
    "shelly_gen2",
    "shelly_gen2_all",
    "tasmota",
    "zigbee2mqtt",
]


def zigbee2mqtt(now: Step, _before: Step | None) -> list[Message]:
    """Return the device's attributes, those of others too, all from zigbee2mqtt's cache."""
    return [
        message(
            f"zigbee2mqtt/rack3_{place}",
            {
                "battery": 97,
                "humidity": climate.humidity,
                "last_seen": f"{iso(climate.ts)}.000Z",
                "linkquality": 112,
                "temperature": climate.temperature,
                "voltage": 3000,
            },
        )
        for place, climate in zip(("top", "bottom"), now, strict=True)
    ]


def tasmota(now: Step, _before: Step | None) -> list[Message]:
    """Return one telemetry message for both sensors, with local time."""
    content: dict[str, Any] = {
        "Time": datetime.fromtimestamp(now.bottom.ts, BERLIN).strftime("%Y-%m-%dT%H:%M:%S")
    }
    for name, climate in zip(("SHT3X-0x44", "SHT3X-0x45"), now, strict=True):
        content[name] = {
            "Temperature": climate.temperature,
            "Humidity": climate.humidity,
            "DewPoint": round(climate.temperature - 9.4, 1),
        }
    return [message("tele/rack3/SENSOR", {**content, "TempUnit": "C"})]


def esphome(now: Step, _before: Step | None) -> list[Message]:
    """Return each value as text on the topic of its sensor, retained, as ESPHome does by default."""
    return [
        Message(f"rack3/sensor/{place}_{name}/state", f"{value:.2f}".encode(), is_retained=True)
        for place, climate in zip(("top", "bottom"), now, strict=True)
        for name, value in (("temperature", climate.temperature), ("humidity", climate.humidity))
    ]


def shelly_gen1(now: Step, _before: Step | None) -> list[Message]:
    """Return each value on its topic, and the battery, as an H&T does when it wakes."""
    return [
        Message(f"shellies/rack3-{place}/sensor/{name}", f"{value:.2f}".encode())
        for place, climate in zip(("top", "bottom"), now, strict=True)
        for name, value in (
            ("temperature", climate.temperature),
            ("humidity", climate.humidity),
            ("battery", 88),
        )
    ]


def _shelly_components(now: Step) -> list[tuple[str, int, dict[str, Any]]]:
    """Return component, time of measurement and status of the add-on's four sensors."""
    return [
        (f"{kind}:{number}", climate.ts, {"id": number, **status})
        for number, climate in zip((100, 101), now, strict=True)
        for kind, status in (
            (
                "temperature",
                {"tC": climate.temperature, "tF": round(climate.temperature * 1.8 + 32, 2)},
            ),
            ("humidity", {"rh": climate.humidity}),
        )
    ]


def shelly_gen2(now: Step, before: Step | None) -> list[Message]:
    """Return a NotifyStatus for each component that changed, and an event without values."""
    previous = {name: status for name, _, status in _shelly_components(before)} if before else {}
    messages = [
        _shelly_notification("NotifyStatus", {"ts": ts + 0.0, name: status})
        for name, ts, status in _shelly_components(now)
        if previous.get(name) != status
    ]
    event = {"component": "sys", "event": "scheduled_restart", "time_ms": 435, "ts": now.bottom.ts + 0.0}
    return [*messages, _shelly_notification("NotifyEvent", {"ts": now.bottom.ts + 0.0, "events": [event]})]


def _shelly_notification(method: str, params: dict[str, Any]) -> Message:
    return message(
        "rack3/events/rpc",
        {"src": "shellyplus1-a8032abe54dc", "dst": "rack3/events", "method": method, "params": params},
    )


def shelly_gen2_all(now: Step, _before: Step | None) -> list[Message]:
    """Return what a script publishes: the status of the four components, and the time of the system."""
    status = {name: status for name, _, status in _shelly_components(now)}
    return [message("rack3/status/climate", {"ts": now.bottom.ts, **status})]


def home_assistant(now: Step, _before: Step | None) -> list[Message]:
    """Return each entity's state, retained, and an attribute as with publish_attributes."""
    states = [
        Message(f"homeassistant/sensor/rack3_{place}_{name}/state", str(value).encode(), is_retained=True)
        for place, climate in zip(("top", "bottom"), now, strict=True)
        for name, value in (("temperature", climate.temperature), ("humidity", climate.humidity))
    ]
    unit = Message(
        "homeassistant/sensor/rack3_top_temperature/unit_of_measurement", '"°C"'.encode(), is_retained=True
    )
    return [*states, unit]
