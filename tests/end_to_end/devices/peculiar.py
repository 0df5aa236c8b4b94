"""Devices with peculiar numbers, times and names."""

from datetime import datetime
from typing import Any

from tests.end_to_end.devices.step import BERLIN, Message, Step, message

__all__ = [
    "local_times",
    "microseconds",
    "nanoseconds",
    "one_topic",
    "one_topic_sensors",
    "quoted_numbers",
    "teltonika",
]


def teltonika(now: Step, _before: Step | None) -> list[Message]:
    """Return integers times 100 by the number of their parameter."""
    reported = {
        "ts": now.top.ts * 1000,
        "latlng": "54.702652,25.317172",
        "72": round(now.top.temperature * 100),
        "86": round(now.top.humidity * 100),
        "73": round(now.bottom.temperature * 100),
        "104": round(now.bottom.humidity * 100),
    }
    return [message("352093081452251/data", {"state": {"reported": reported}})]


def one_topic(now: Step, _before: Step | None) -> list[Message]:
    """Return the messages of two devices; the second always measures the same."""
    measured = {
        "temperature_top": now.top.temperature,
        "humidity_top": now.top.humidity,
        "temperature_bottom": now.bottom.temperature,
        "humidity_bottom": now.bottom.humidity,
    }
    other = {"temperature_top": 5.1, "humidity_top": 80.2, "temperature_bottom": 5.3, "humidity_bottom": 80.4}
    return [
        message("sensors", {"device": device, "time": now.top.ts, **values})
        for device, values in (("rack3", measured), ("rack4", other))
    ]


def one_topic_sensors(now: Step, _before: Step | None) -> list[Message]:
    """Return what rtl_433 hears: two sensors, and the neighbour's, with local times."""
    heard = [(101, now.top), (102, now.bottom), (77, now.bottom._replace(temperature=-3.0))]
    return [
        message(
            "rtl_433/pi7/events",
            {
                "time": datetime.fromtimestamp(climate.ts, BERLIN).strftime("%Y-%m-%d %H:%M:%S"),
                "model": "LaCrosse-TX141THBv2",
                "id": number,
                "channel": 0,
                "battery_ok": 1,
                "temperature_C": climate.temperature,
                "humidity": climate.humidity,
                "mic": "CRC",
            },
        )
        for number, climate in heard
    ]


def _short(step: Step) -> dict[str, Any]:
    return {
        "t1": step.top.temperature,
        "h1": step.top.humidity,
        "t2": step.bottom.temperature,
        "h2": step.bottom.humidity,
    }


def quoted_numbers(now: Step, _before: Step | None) -> list[Message]:
    """Return numbers and event time in quotes."""
    content = {name: str(value) for name, value in _short(now).items()}
    return [message("climate/rack3", {"ts": str(now.top.ts), **content})]


def local_times(now: Step, _before: Step | None) -> list[Message]:
    """Return an event time as people in Germany write it."""
    zeit = datetime.fromtimestamp(now.top.ts, BERLIN).strftime("%d.%m.%Y %H:%M:%S")
    return [message("climate/rack3", {"zeit": zeit, **_short(now)})]


def microseconds(now: Step, _before: Step | None) -> list[Message]:
    """Return an event time in microseconds."""
    return [message("climate/rack3", {"ts": now.top.ts * 10**6, **_short(now)})]


def nanoseconds(now: Step, _before: Step | None) -> list[Message]:
    """Return an event time in nanoseconds."""
    return [message("climate/rack3", {"ts": now.top.ts * 10**9, **_short(now)})]
