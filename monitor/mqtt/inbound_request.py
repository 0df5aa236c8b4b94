"""Turns paho's message into a request, with MQTT 5's response topic, correlation data and sender."""

from collections import OrderedDict
from typing import Any

import paho.mqtt.client as paho

from monitor.core.messages import InboundRequest

__all__ = ["InboundRequests"]

# User property in which a sender, or a broker that adds it, names the operator; longer names are cut.
_OPERATOR_PROPERTY, _MAX_NAME_LENGTH = "operator", 100
# Bytes: an answer repeats it, and must stay below the packet size that any broker takes. Programs put an id
# of some 16 to 64 bytes into it.
_MAX_CORRELATION_SIZE = 1024
# Redelivered requests whose deliveries are counted: more than a broker has under way by default, 20.
_MAX_COUNTED = 100


class InboundRequests:
    """Turns messages of one session into requests, and counts how often each is delivered."""

    def __init__(self) -> None:
        self._deliveries: OrderedDict[tuple[int, str, bytes], int] = OrderedDict()

    def convert(
        self, message: paho.MQTTMessage, topic: str, ack_token: object, *, is_unreadable: bool
    ) -> InboundRequest:
        """Return a message as a request.

        Parameters
        ----------
        is_unreadable : whether it has properties that can't be read.
        """
        properties: Any = message.properties
        correlation: bytes | None = getattr(properties, "CorrelationData", None)
        user_properties: list[tuple[str, str]] = getattr(properties, "UserProperty", [])
        claimed = next((value for name, value in user_properties if name == _OPERATOR_PROPERTY), "")
        payload = bytes(message.payload)
        return InboundRequest(
            topic,
            payload,
            ack_token,
            message.retain,
            getattr(properties, "ResponseTopic", None),
            correlation,
            self._count_delivery((message.mid, topic, payload)) if message.dup else 1,
            _problem(correlation, is_unreadable=is_unreadable),
            claimed[:_MAX_NAME_LENGTH],
        )

    def _count_delivery(self, key: tuple[int, str, bytes]) -> int:
        # The first one was without the DUP flag, and may have come to an earlier process.
        self._deliveries[key] = count = self._deliveries.pop(key, 1) + 1
        if len(self._deliveries) > _MAX_COUNTED:
            self._deliveries.popitem(last=False)
        return count


def _problem(correlation: bytes | None, *, is_unreadable: bool) -> str:
    if is_unreadable:
        return "its MQTT 5 properties can't be read, or have more than 4,096 bytes"
    if correlation is not None and len(correlation) > _MAX_CORRELATION_SIZE:
        return f"its correlation data has {len(correlation)} bytes, expected at most {_MAX_CORRELATION_SIZE}"
    return ""
