"""Builds paho's clients: protocol, login, TLS and limits."""

import logging
import os
import socket
from contextlib import suppress
from functools import lru_cache

import paho.mqtt.client as paho
from paho.mqtt import __version__ as paho_version
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from monitor.config.mqtt_settings import MqttSettings
from monitor.core.messages import MessageProperties
from monitor.mqtt.broker_limits import DEFAULT_IN_FLIGHT
from monitor.mqtt.bulk_client import BulkClient
from monitor.mqtt.credentials import Credentials
from monitor.mqtt.packet_parser import MAX_PACKET_SIZE
from monitor.mqtt.plain_client import PlainClient
from monitor.mqtt.private_api import private_api_problems
from monitor.mqtt.properties import publish_properties

__all__ = [
    "MAX_QUEUED",
    "V5",
    "V311",
    "MqttClient",
    "break_connection",
    "build",
    "connect",
    "publish_with_paho",
    "warn_once",
]

_log = logging.getLogger(__name__)

V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311

MqttClient = BulkClient | PlainClient

# Without a Receive Maximum brokers stop at 20 unacknowledged messages, and a batch never gets larger.
_RECEIVE_MAXIMUM = 4096
# How long the broker keeps the session of a disconnected monitor, in seconds: a weekend and a holiday.
_SESSION_EXPIRY_S = 4 * 24 * 3600
MAX_QUEUED = 2000
"""Messages that may be unconfirmed. The pipeline stops at 1000; the rest is for births and responses."""


def build(
    settings: MqttSettings,
    client_id: str,
    credentials: Credentials,
    version: MQTTProtocolVersion,
    *,
    durable: bool,
) -> MqttClient:
    """Build a client with its credentials and limits; it does not connect yet.

    Returns a `PlainClient` where the installed paho lacks what `BulkClient` needs, and logs that once.

    Parameters
    ----------
    credentials : read before each attempt to connect.
    durable : whether the broker keeps the session after a disconnect.
    """
    problems = private_api_problems(paho.Client)
    if problems:
        warn_once(
            f"paho-mqtt {paho_version} differs from 2.1 and 2.2 inside: {'; '.join(problems)}. "
            "Going on as with mqtt.bulk = false, which is slower"
        )
    client_class = PlainClient if problems else BulkClient
    client = client_class(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=None if version == V5 else not durable,
        protocol=version,
        transport=settings.transport,
        manual_ack=True,
    )
    if settings.transport == "websockets":
        client.ws_set_options(settings.path)
    client.max_queued_messages_set(MAX_QUEUED)
    client.max_inflight_messages_set(DEFAULT_IN_FLIGHT)
    credentials.attach(client)
    return client


def connect(client: paho.Client, settings: MqttSettings, *, durable: bool) -> None:
    """Connect in the background, and reconnect whenever the connection breaks.

    If the client does so already, its next attempt uses the address in `settings`.
    """
    if client.protocol == V5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.ReceiveMaximum = _RECEIVE_MAXIMUM
        properties.MaximumPacketSize = MAX_PACKET_SIZE
        properties.SessionExpiryInterval = _SESSION_EXPIRY_S if durable else 0
        client.connect_async(
            settings.host,
            settings.port,
            settings.keepalive,
            clean_start=not durable,
            properties=properties,
        )
    else:
        client.connect_async(settings.host, settings.port, settings.keepalive)
    client.loop_start()  # no effect if the thread runs already; it uses the new address


def publish_with_paho(
    client: paho.Client,
    topic: str,
    payload: bytes,
    message_properties: MessageProperties | None,
    *,
    qos: int,
    retain: bool,
) -> int | None:
    """Publish a message with paho's own queue; return its id, None if that queue is full."""
    properties = (
        publish_properties(message_properties)
        if message_properties is not None and client.protocol == V5
        else None
    )
    info = client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
    return None if info.rc == paho.MQTT_ERR_QUEUE_SIZE else info.mid


def break_connection(client: paho.Client) -> None:
    """Close the connection, if there is one; the client then reconnects."""
    sock = client.socket()
    if sock is None:
        return
    # TLS or websockets may wrap the socket; its descriptor can be shut down either way, and paho's thread
    # sees the end of the stream.
    with suppress(OSError), socket.socket(fileno=os.dup(sock.fileno())) as raw_socket:
        raw_socket.shutdown(socket.SHUT_RDWR)


@lru_cache(maxsize=8)
def warn_once(message: str) -> None:
    """Log a warning the first time: a process builds several clients."""
    _log.warning("%s", message)
