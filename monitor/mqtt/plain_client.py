"""A paho client that uses paho's public interface only."""

import os
import socket
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import paho.mqtt.client as paho

from monitor.mqtt.socket_options import configure_socket

__all__ = ["PlainClient"]

# Topics of published messages that are kept for `published_topic`: more than may be unconfirmed at a time.
_MAX_TOPICS = 4000
_UNKNOWN_TOPIC = "(unknown topic)"


class PlainClient(paho.Client):
    """Takes the place of `BulkClient` where the installed paho's private interface differs.

    Paho then parses, writes and acknowledges every packet by itself, as with `mqtt.bulk = false`.
    """

    has_unreadable_properties = False
    """Paho ends the connection after a message with such properties."""
    receive_problem = ""
    """Paho takes packets of any size."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.on_socket_open = _configure_opened_socket
        self._published_topics: OrderedDict[int, str] = OrderedDict()

    def publish(self, topic: str, *args: Any, **kwargs: Any) -> paho.MQTTMessageInfo:
        """Publish as paho does, and keep the topic for `published_topic`."""
        info = super().publish(topic, *args, **kwargs)
        self._published_topics.pop(info.mid, None)
        self._published_topics[info.mid] = topic
        if len(self._published_topics) > _MAX_TOPICS:
            self._published_topics.popitem(last=False)
        return info

    def published_topic(self, mid: int) -> str:
        """Return the topic of a message that was published."""
        return self._published_topics.get(mid, _UNKNOWN_TOPIC)

    def acknowledge(self, packet_ids: Iterable[int]) -> None:
        """Acknowledge QoS 1 packets."""
        for packet_id in packet_ids:
            self.ack(packet_id, 1)


def _configure_opened_socket(_: Any, __: Any, sock: Any) -> None:
    # Paho may have wrapped the socket (websockets), so the options are set by its file descriptor.
    with suppress(OSError), socket.socket(fileno=os.dup(sock.fileno())) as raw_socket:
        configure_socket(raw_socket)
