"""The properties of a received PUBLISH packet, where paho can't read them. No I/O."""

import struct

from paho.mqtt import MQTTException
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from monitor.mqtt.packet_parser import skip_properties

__all__ = ["without_unreadable_properties"]

_TOPIC_LENGTH_SIZE, _PACKET_ID_SIZE = 2, 2  # bytes
_QOS_MASK = 0x06
# Bytes: as much as a request may have. Paho copies all that follows each property: 500,000 bytes of empty
# ones held up the connection for 27 s.
_MAX_SIZE = 4096
_NO_PROPERTIES = b"\0"


def without_unreadable_properties(first: int, body: bytes) -> bytes | None:
    """Return the body of a PUBLISH packet without properties, if paho can't read them soon; else None.

    Paho ends the connection then, and the broker delivers the message again on the next one, for ever.
    Brokers pass on what they find valid: U+FEFF in a text is, and paho refuses it.

    Parameters
    ----------
    first : first byte of the packet.
    body : the packet after its length.
    """
    start = _TOPIC_LENGTH_SIZE + int.from_bytes(body[:_TOPIC_LENGTH_SIZE])
    start += _PACKET_ID_SIZE if first & _QOS_MASK else 0
    if body[start : start + 1] in (_NO_PROPERTIES, b""):
        return None
    end = skip_properties(body, start, len(body))
    if end > len(body):  # no packet of MQTT: paho reports it
        return None
    if end - start <= _MAX_SIZE and _are_readable(body[start:end]):
        return None
    return body[:start] + _NO_PROPERTIES + body[end:]


def _are_readable(properties: bytes) -> bool:
    try:
        Properties(PacketTypes.PUBLISH).unpack(properties)  # type: ignore[no-untyped-call]
    except (MQTTException, LookupError, ValueError, struct.error):
        return False
    return True
