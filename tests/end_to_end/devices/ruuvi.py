"""A Ruuvi gateway that hears two tags."""

import struct

from tests.end_to_end.devices.step import Climate, Message, Step, message

__all__ = ["ruuvi"]

_GATEWAY = "C8:25:2D:8E:9C:2C"
_TOP, _BOTTOM = "CB:B8:33:4C:88:4F", "CB:B8:33:4C:88:50"


def ruuvi(now: Step, _before: Step | None) -> list[Message]:
    """Return a message for each tag."""
    return [_tag_message(_TOP, now.top), _tag_message(_BOTTOM, now.bottom)]


def _tag_message(mac: str, climate: Climate) -> Message:
    content = {
        "gw_mac": _GATEWAY,
        "rssi": -61,
        "aoa": [],
        "gwts": climate.ts,
        "ts": climate.ts,
        "data": f"0201061BFF9904{_advertisement(mac, climate)}",
        "coords": "",
    }
    return message(f"ruuvi/{_GATEWAY}/{mac}", content)


def _advertisement(mac: str, climate: Climate) -> str:
    """Return data format 5 as hexadecimal digits."""
    fields = struct.pack(
        ">BhHHhhhHBH6s",
        5,
        round(climate.temperature / 0.005),
        round(climate.humidity / 0.0025),
        100_044 - 50_000,
        4,
        -4,
        1036,
        0xAC36,
        66,
        205,
        bytes.fromhex(mac.replace(":", "")),
    )
    return fields.hex().upper()
