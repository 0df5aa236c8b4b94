"""Asks a broker which version of the protocol it speaks."""

from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode

from monitor.config.settings import MqttSettings

__all__ = ["probe_version"]

_TIMEOUT_S = 10  # seconds until a peer that doesn't answer is given up
_UNSUPPORTED_VERSION = 132


def probe_version(
    client: paho.Client,
    settings: MqttSettings,
    on_version: Callable[[bool], None],
    on_no_response: Callable[[], None],
) -> None:
    """Find out whether the broker speaks MQTT 5 by a connection for that alone.

    It is MQTT 5 without properties, which an old broker reads far enough to refuse: with properties some take
    their length for another field's, and wait for bytes that never come.

    Parameters
    ----------
    client : an MQTT 5 client with an id of its own, because a connection without a session expiry would end
        the stored session.
    settings : the broker.
    on_version : called once, with whether it does.
    on_no_response : called each time the peer ends the connection without an answer.
    """

    def on_connack(_: Any, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        client.on_disconnect = None
        client.disconnect()
        on_version(reason.value != _UNSUPPORTED_VERSION)

    client.on_connect = on_connack
    client.on_disconnect = lambda *_: on_no_response()
    client.connect_async(settings.host, settings.port, _TIMEOUT_S, clean_start=True)
    client.loop_start()
