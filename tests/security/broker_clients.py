"""Clients with a login at a broker, who send what the monitor doesn't expect."""

from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.conftest import TIMEOUT_S, wait_until
from tests.support.processes import Proxy

__all__ = [
    "ProxyThatNamesTakeovers",
    "connect_as",
    "publish_with_properties",
    "take_without_acknowledging",
]

_TAKEN_OVER = b"\xe0\x02\x8e\x00"  # DISCONNECT with reason code 142


class ProxyThatNamesTakeovers(Proxy):
    """Stands before a mosquitto of version 2.0.11, and makes it say what 2.0.22 does.

    That is the reason for which it ends a connection: another client has connected with the client id.
    """

    def _forward(self, source: Any, sink: Any, recording: bytearray | None) -> None:
        is_from_broker = any(source is far for _, far in self._connections)
        super()._forward(source, _LastWords(sink) if is_from_broker else sink, recording)


class _LastWords:
    """A socket that sends a DISCONNECT before it is shut down."""

    def __init__(self, sock: Any) -> None:
        self._socket = sock
        self.sendall = sock.sendall

    def shutdown(self, how: int) -> None:
        self._socket.sendall(_TAKEN_OVER)
        self._socket.shutdown(how)


def connect_as(
    port: int, client_id: str, *, username: str | None = None, password: str = "", clean_start: bool = True
) -> str:
    """Connect with a client id and disconnect again; return the reason code of the CONNACK as text.

    Parameters
    ----------
    clean_start : whether this ends the session; otherwise it is only taken, and kept.
    """
    reasons: list[str] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5)
    client.on_connect = lambda _, __, ___, reason, ____: reasons.append(str(reason))
    if username:
        client.username_pw_set(username, password)
    expiry: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    expiry.SessionExpiryInterval = 0 if clean_start else 3600
    client.connect("127.0.0.1", port, clean_start=clean_start, properties=expiry)
    client.loop_start()
    wait_until(lambda: reasons, "the broker answers")
    client.disconnect()
    client.loop_stop()
    return reasons[0]


def take_without_acknowledging(port: int, client_id: str) -> None:
    """Take the first message waiting in a session, as a process that dies then; it comes with DUP again."""
    messages: list[object] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5, manual_ack=True)
    client.on_message = lambda _, __, message: messages.append(message)
    expiry: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    expiry.SessionExpiryInterval = 3600
    client.connect("127.0.0.1", port, clean_start=False, properties=expiry)
    client.loop_start()
    wait_until(lambda: messages, "a message waits")
    client.disconnect()
    client.loop_stop()


def publish_with_properties(
    port: int, topic: str, payload: bytes, *, retain: bool = False, **properties: Any
) -> None:
    """Publish a message with properties of MQTT 5, and wait for its PUBACK."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    encoded: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    for name, value in properties.items():
        setattr(encoded, name, value)
    message = client.publish(topic, payload, qos=1, retain=retain, properties=encoded)
    message.wait_for_publish(TIMEOUT_S)
    assert message.is_published()
    client.disconnect()
    client.loop_stop()
