"""Finds out whether a broker supports MQTT 5."""

from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode

from monitor.config.mqtt_settings import MqttSettings

__all__ = ["probe_version"]

_TIMEOUT_S = (
    10  # keepalive of the probe, seconds: paho ends a connection without an answer after 1.5 times that
)
_UNSUPPORTED_VERSION = 132  # reason code "Unsupported Protocol Version"


def probe_version(
    client: paho.Client,
    settings: MqttSettings,
    on_version: Callable[[bool], None],
    on_no_response: Callable[[], None],
) -> None:
    """Connect once, only to find out whether the broker supports MQTT 5.

    The CONNECT packet is MQTT 5 without properties, which an older broker can read far enough to refuse it:
    with properties some brokers take their length for that of another field, and wait for bytes that never
    come.

    Parameters
    ----------
    client : an MQTT 5 client with a client id of its own, because a connection without a session expiry
        interval would end the stored session.
    settings : the broker.
    on_version : called once, with whether the broker supports MQTT 5.
    on_no_response : called each time the peer closes the connection without a CONNACK.
    """

    def on_connack(_: Any, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        client.on_disconnect = None
        client.disconnect()
        on_version(reason.value != _UNSUPPORTED_VERSION)

    client.on_connect = on_connack
    client.on_disconnect = lambda *_: on_no_response()
    client.connect_async(settings.host, settings.port, _TIMEOUT_S, clean_start=True)
    client.loop_start()
