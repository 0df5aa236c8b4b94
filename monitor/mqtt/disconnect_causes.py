"""Whether a message that was not confirmed yet may have been why a connection ended."""

from enum import Enum, auto

from paho.mqtt.reasoncodes import ReasonCode

__all__ = ["Blame", "blame"]


class Blame(Enum):
    """How far an unconfirmed message is to blame for the end of a connection."""

    NONE = auto()
    """This side ended it, or the broker for a reason that no message is."""
    POSSIBLE = auto()
    """The peer ended it without a reason, or for one that may be a message."""
    CERTAIN = auto()
    """The broker's reason is a message."""


# Reason codes of DISCONNECT. 128 is also paho's code for a connection that the peer closed without one.
_UNSPECIFIED, _MALFORMED, _PROTOCOL_ERROR, _IMPLEMENTATION, _NOT_AUTHORIZED = 128, 129, 130, 131, 135
_TOPIC_NAME_INVALID, _PACKET_TOO_LARGE, _QUOTA_EXCEEDED, _PAYLOAD_INVALID = 144, 149, 151, 153
_POSSIBLE = {
    *(_UNSPECIFIED, _MALFORMED, _PROTOCOL_ERROR, _IMPLEMENTATION, _NOT_AUTHORIZED),
    _QUOTA_EXCEEDED,
}
_CERTAIN = {_TOPIC_NAME_INVALID, _PACKET_TOO_LARGE, _PAYLOAD_INVALID}


def blame(reason_code: ReasonCode) -> Blame:
    """Return how far an unconfirmed message is to blame for a connection that ended for this reason."""
    if reason_code.value in _CERTAIN:
        return Blame.CERTAIN
    return Blame.POSSIBLE if reason_code.value in _POSSIBLE else Blame.NONE
