"""What the devices of a group measure at one time."""

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

__all__ = ["BERLIN", "Climate", "Message", "Step", "iso", "message"]

BERLIN = ZoneInfo("Europe/Berlin")


class Climate(NamedTuple):
    """What one sensor measures."""

    ts: int
    """Seconds since the Unix epoch."""
    temperature: float
    humidity: float


class Step(NamedTuple):
    """What the two sensors of a group measure at one time, each at its own."""

    top: Climate
    """The sensor of the features temperature_1 and humidity_1."""
    bottom: Climate
    """The sensor of the features temperature_2 and humidity_2."""


class Message(NamedTuple):
    """What a device publishes."""

    topic: str
    payload: bytes
    is_retained: bool = False


def message(topic: str, content: Any) -> Message:
    """Return a message whose payload is JSON."""
    return Message(topic, json.dumps(content).encode())


def iso(ts: float) -> str:
    """Return a time as 2026-01-15T12:00:00, in UTC and without saying so."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%S")
