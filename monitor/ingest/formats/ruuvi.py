"""Messages of a Ruuvi gateway: what it heard of a sensor tag, as hexadecimal digits in JSON."""

import struct
from typing import Any

from monitor.ingest.formats.json_data import JsonFormat

__all__ = ["RuuviFormat"]

_EXPECTED = 'expected {"ts": ..., "data": ...} with a Ruuvi advertisement of data format 5 (RAWv2)'

# A Bluetooth advertisement consists of structures: length, type, content. Content of the manufacturer's type
# begins with the manufacturer's number, least significant byte first.
_MANUFACTURER_TYPE = 0xFF
_RUUVI = b"\x99\x04"
_DATA_FORMAT = 5
# After the data format: temperature, humidity, pressure, acceleration in three axes, power, movement counter,
# sequence number, MAC address.
_FIELDS = struct.Struct(">hHHhhhHBH6s")
_NO_INT16, _NO_UINT16, _NO_UINT8, _NO_MAC = -0x8000, 0xFFFF, 0xFF, b"\xff" * 6
_TX_POWER_BITS = 5
_NO_BATTERY, _NO_TX_POWER = 0x7FF, 0x1F


class RuuviFormat:
    """JSON of a Ruuvi gateway, with a tag's advertisement of data format 5 (RAWv2) in `data`."""

    def __init__(self) -> None:
        self._json = JsonFormat()

    def parse(self, payload: bytes) -> dict[str, Any]:
        """Return the message, and what the tag measured; None where the tag says that it has no value.

        Returns
        -------
        What the gateway sent, without `data`: gw_mac, rssi (dBm), ts (seconds since 1970), ...; and:

        temperature : degC. humidity : %RH. pressure : Pa.
        acceleration_x, acceleration_y, acceleration_z : g.
        battery : V. tx_power : dBm.
        movement : counter, 0 to 254. sequence : number of the measurement, 0 to 65534.
        mac : as text, such as CB:B8:33:4C:88:4F.
        """
        message = self._json.parse(payload)
        if not isinstance(message, dict) or not isinstance(message.get("data"), str):
            raise ValueError(  # noqa: TRY004, the payload is wrong, not a type
                f"no message of a Ruuvi gateway; {_EXPECTED}"
            )
        try:
            advertisement = bytes.fromhex(message["data"])
        except ValueError:
            raise ValueError(f"data has something else than hexadecimal digits; {_EXPECTED}") from None
        envelope = {name: value for name, value in message.items() if name != "data"}
        for name in ("ts", "gwts"):  # text in early firmware
            if isinstance(text := envelope.get(name), str) and text.isascii() and text.isdigit():
                envelope[name] = int(text)
        return envelope | _read_tag(_find_content(advertisement))


def _find_content(advertisement: bytes) -> bytes:
    """Return what Ruuvi's structure in an advertisement holds."""
    position = 0
    while position < len(advertisement):
        length = advertisement[position]
        structure = advertisement[position + 1 : position + 1 + length]
        if len(structure) < length:
            raise ValueError(f"data ends within a structure; {_EXPECTED}")
        if length and structure[0] == _MANUFACTURER_TYPE and structure[1:3] == _RUUVI:
            return structure[3:]
        position += 1 + length
    raise ValueError(f"data holds no advertisement of Ruuvi; {_EXPECTED}")


def _read_tag(content: bytes) -> dict[str, Any]:
    if content[:1] != bytes([_DATA_FORMAT]) or len(content) != 1 + _FIELDS.size:
        found = f"data format {content[0]} of {len(content)} bytes" if content else "no data"
        raise ValueError(f"{found}; {_EXPECTED}")
    temperature, humidity, pressure, x, y, z, power, movement, sequence, mac = _FIELDS.unpack(content[1:])
    battery, tx_power = power >> _TX_POWER_BITS, power & _NO_TX_POWER
    return {
        "temperature": None if temperature == _NO_INT16 else temperature * 5 / 1000,
        "humidity": None if humidity == _NO_UINT16 else humidity * 25 / 10000,
        "pressure": None if pressure == _NO_UINT16 else pressure + 50_000,
        "acceleration_x": None if x == _NO_INT16 else x / 1000,
        "acceleration_y": None if y == _NO_INT16 else y / 1000,
        "acceleration_z": None if z == _NO_INT16 else z / 1000,
        "battery": None if battery == _NO_BATTERY else (battery + 1600) / 1000,
        "tx_power": None if tx_power == _NO_TX_POWER else tx_power * 2 - 40,
        "movement": None if movement == _NO_UINT8 else movement,
        "sequence": None if sequence == _NO_UINT16 else sequence,
        "mac": None if mac == _NO_MAC else mac.hex(":").upper(),
    }
