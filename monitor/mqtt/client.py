"""Builds paho's clients: how they log in, encrypt, pause and connect."""

import os
import random
import socket
from contextlib import suppress

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from monitor.config.settings import MqttSettings
from monitor.core.messages import MessageProperties
from monitor.mqtt.bulk_client import BulkClient
from monitor.mqtt.properties import publish_properties
from monitor.mqtt.tls import configure_tls

__all__ = [
    "MAX_QUEUED",
    "V5",
    "V311",
    "break_connection",
    "build",
    "connect",
    "max_in_flight",
    "publish_with_paho",
    "reconnect_delays",
]

V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311

# Without it brokers stop at 20 unacknowledged messages, and a batch never gets larger.
_RECEIVE_MAXIMUM = 4096
_DEFAULT_RECEIVE_MAXIMUM = 65_535  # what MQTT 5 means where a broker's is missing
# A payload beyond 1 MiB is malformed; this leaves room for its topic and properties, and for saying so of one
# that is not much larger. What is larger still the broker drops before it fills our memory.
_MAX_PACKET_SIZE = 4 * 1024 * 1024  # bytes
# A weekend and a holiday: how long the broker keeps the session of a monitor that is away, in seconds.
_SESSION_EXPIRY_S = 4 * 24 * 3600
MAX_QUEUED = 2000
"""Published and not confirmed. Callers stop at 1000 by themselves; the rest is for births and answers."""
# Of these on the line at once where nobody heeds how many the broker takes: with MQTT 3.1.1, which can't say,
# and in what paho sends. Mosquitto takes 20, the smallest default seen is 10.
_DEFAULT_IN_FLIGHT = 10
# Where it takes more: with a broker 50 ms away 4,000 messages/s, and with 10 only 200. All of them may come
# twice after a break.
_MAX_IN_FLIGHT = 200


def build(
    settings: MqttSettings,
    client_id: str,
    password: str | None,
    version: MQTTProtocolVersion,
    *,
    durable: bool,
) -> BulkClient:
    """Return a client that can log in.

    Raises
    ------
    ConfigurationError : a certificate or key can't be used.
    """
    client = BulkClient(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=None if version == V5 else not durable,
        protocol=version,
        transport=settings.transport,
        manual_ack=True,
    )
    if settings.transport == "websockets":
        client.ws_set_options(settings.path)
    client.reconnect_delay_set(*reconnect_delays())  # type: ignore[arg-type] # paho only adds and compares them
    client.max_queued_messages_set(MAX_QUEUED)
    client.max_inflight_messages_set(_DEFAULT_IN_FLIGHT)
    if settings.username is not None:
        client.username_pw_set(settings.username, password)
    if settings.tls.is_enabled:
        configure_tls(client, settings.tls)
    return client


def reconnect_delays() -> tuple[float, float]:
    """Draw the shortest and the longest pause between two attempts to connect, in seconds.

    Paho doubles from one to the other and begins anew after each connection that the broker took. Each client
    has its own, so that a plant's monitors don't come back in step when their broker does.
    """
    draw = random.SystemRandom()
    return draw.uniform(1, 2), draw.uniform(8, 16)


def connect(client: paho.Client, settings: MqttSettings, *, durable: bool) -> None:
    """Connect in the background, and again whenever the connection breaks.

    Where it does so already, the next attempt goes to the address of these settings.
    """
    if client.protocol == V5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.ReceiveMaximum = _RECEIVE_MAXIMUM
        properties.MaximumPacketSize = _MAX_PACKET_SIZE
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
    client.loop_start()  # does nothing where its thread runs already: that one takes the new address


def max_in_flight(version: MQTTProtocolVersion, connack: Properties | None) -> int:
    """Return how many messages a broker may be sent before it has confirmed the first of them.

    It may hang up on whoever exceeds what it says in MQTT 5's CONNACK.
    """
    if version != V5:
        return _DEFAULT_IN_FLIGHT
    receive_maximum: int = getattr(connack, "ReceiveMaximum", _DEFAULT_RECEIVE_MAXIMUM)
    return min(
        max(receive_maximum - 1, 1), _MAX_IN_FLIGHT
    )  # one is left for the farewell, which is always paho's


def publish_with_paho(
    client: paho.Client,
    topic: str,
    payload: bytes,
    message_properties: MessageProperties | None,
    *,
    qos: int,
    retain: bool,
) -> int | None:
    """Have paho publish a message; return its number, None where it holds too many already."""
    properties = (
        publish_properties(message_properties)
        if message_properties is not None and client.protocol == V5
        else None
    )
    info = client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
    return None if info.rc == paho.MQTT_ERR_QUEUE_SIZE else info.mid


def break_connection(client: paho.Client) -> None:
    """Break the connection, if there is one; the client connects again by itself."""
    sock = client.socket()
    if sock is None:
        return
    # Whatever wraps it (TLS, websockets), below is a socket that can be told, and paho's thread sees its end.
    with suppress(OSError), socket.socket(fileno=os.dup(sock.fileno())) as raw_socket:
        raw_socket.shutdown(socket.SHUT_RDWR)
