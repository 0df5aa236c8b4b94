"""A paho client that parses PUBLISH packets in bulk and acknowledges them in bulk.

Paho spends about 20 µs on a packet: three calls of `recv`, a `select`, a dozen objects. Here one `recv`
brings hundreds of packets, and a reading costs 0.6 µs. Paho still handles the connection, subscriptions,
keepalive, QoS 2 and every unusual packet: it reads the rest of the stream as if the other packets had not
been in it.
"""

import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion

from monitor.mqtt.inbound_properties import without_unreadable_properties
from monitor.mqtt.intercepting_socket import DeliverCallback, InterceptingSocket
from monitor.mqtt.packet_parser import MAX_PACKET_SIZE, PacketLimit, PacketParser
from monitor.mqtt.socket_options import configure_socket

__all__ = ["BulkClient"]

_PUBACK = b"\x40\x02"
_PACKET_ID_SIZE = 2  # bytes
# Packet types (first four bits of a packet) that may bypass paho's queue: PUBLISH and PUBACK.
_TYPE_MASK, _DIRECT_WRITE_TYPES = 0xF0, {0x30, 0x40}

PubackCallback = Callable[[int, int], bool]
"""Takes packet identifier and reason code of a PUBACK; returns whether paho does not need to see it."""


class BulkClient(paho.Client):
    """A paho client whose readings, messages and acknowledgements bypass paho where possible.

    Paho's network thread writes what other threads queue once it has been woken and has acquired Python's
    lock, which the thread that woke it still holds: 0.1 ms of the 0.6 ms that an alert takes. So the
    publishing thread writes to the socket itself when no packet is queued before its own.

    Uses private methods and attributes of paho; `monitor.mqtt.private_api` lists and checks them.
    """

    INTERCEPTED_QOS = (0, 1)
    """QoS of the PUBLISH packets that may bypass paho."""
    _deliver: DeliverCallback | None = None
    _on_puback: PubackCallback = staticmethod(lambda _, __: False)
    _passthrough_prefixes: tuple[bytes, ...] = ()
    _packet_limit: PacketLimit | None = None
    _limited_prefixes: tuple[bytes, ...] = ()
    _admit: Callable[[], bool] = staticmethod(lambda: True)
    _on_excess: Callable[[list[int]], None] = staticmethod(lambda _: None)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Held while the socket is written to or closed. A publishing thread that finds it held queues the
        # packet for paho's thread and does not wait, so that the order of locks cannot matter.
        self._write_lock = threading.RLock()
        self._direct_write = False
        self.has_unreadable_properties = False
        """Whether the message that `on_message` gets had unreadable properties, which are left out."""

        self._parser: PacketParser | None = None
        self._receive_problem = ""

    @property
    def receive_problem(self) -> str:
        """Why this side closed the connection, because of what the broker sent; "" if it did not."""
        return self._receive_problem or (self._parser.problem if self._parser else "")

    def intercept(
        self,
        deliver: DeliverCallback,
        passthrough_prefixes: tuple[bytes, ...],
        packet_limit: PacketLimit | None = None,
    ) -> None:
        """Deliver PUBLISH packets of QoS 0 and 1 without paho, from the next connection on.

        Parameters
        ----------
        deliver : takes the packets.
        passthrough_prefixes : packets whose topic begins with one of these go to paho.
        packet_limit : as `limit` for `PacketParser`.
        """
        self._deliver, self._passthrough_prefixes = deliver, passthrough_prefixes
        self._packet_limit = packet_limit

    def limit(
        self, prefixes: tuple[bytes, ...], admit: Callable[[], bool], on_excess: Callable[[list[int]], None]
    ) -> None:
        """Limit how many PUBLISH packets of QoS 0 and 1 reach paho, from the next connection on.

        Parameters
        ----------
        prefixes : of the topics that are limited.
        admit : called for each such packet; returns whether it may reach paho.
        on_excess : takes the packet identifiers (0 with QoS 0) of the others.
        """
        self._limited_prefixes, self._admit, self._on_excess = prefixes, admit, on_excess

    @property
    def limits(self) -> bool:
        """Whether `limit` was called."""
        return bool(self._limited_prefixes)

    def intercept_pubacks(self, on_puback: PubackCallback) -> None:
        """Call `on_puback` for each PUBACK before paho, from the next connection on."""
        self._on_puback = on_puback

    def enable_direct_write(self) -> None:
        """Write on the calling thread where possible. Not with TLS: its object allows one thread only."""
        self._direct_write = True

    def next_packet_id(self) -> int:
        """Return the next packet identifier, from the sequence that paho's own packets use."""
        return self._mid_generate()

    def published_topic(self, mid: int) -> str:
        """Return the topic of a message that paho publishes; valid until its `on_publish` returns."""
        return self._out_messages[mid].topic

    def send(self, packet: bytes) -> None:
        """Write or queue a PUBLISH packet of QoS 0 or 1; it is lost if the connection breaks."""
        self._packet_queue(packet[0], packet, 0, 1)

    def unwritten_packets(self) -> int:
        """Return how many packets wait to be written."""
        return len(self._out_packet)

    def acknowledge(self, packet_ids: Iterable[int]) -> None:
        """Acknowledge QoS 1 packets in one write."""
        packets = b"".join([_PUBACK + packet_id.to_bytes(2) for packet_id in packet_ids])
        if packets:
            self._packet_queue(_PUBACK[0], packets, 0, 1)

    def _create_socket_connection(self) -> socket.socket:
        sock: socket.socket = super()._create_socket_connection()
        configure_socket(sock)
        return sock

    def _create_socket(self) -> Any:
        sock = super()._create_socket()
        self._parser, self._receive_problem = None, ""
        if self._deliver is None:
            return sock
        self._parser = parser = PacketParser(
            has_properties=self.protocol == MQTTProtocolVersion.MQTTv5,
            passthrough_prefixes=self._passthrough_prefixes,
            limited_prefixes=self._limited_prefixes,
            admit=self._admit,
            on_puback=self._on_puback,
            limit=self._packet_limit,
        )
        return InterceptingSocket(sock, parser, self._deliver, self._on_excess)

    def _handle_pubackcomp(self, cmd: Any) -> MQTTErrorCode:
        # Reached by a PUBACK that no intercepting socket took out of the stream.
        if cmd == "PUBACK":
            packet = self._in_packet["packet"]
            reason_code = packet[_PACKET_ID_SIZE] if len(packet) > _PACKET_ID_SIZE else 0
            if self._on_puback(int.from_bytes(packet[:_PACKET_ID_SIZE]), reason_code):
                return MQTTErrorCode.MQTT_ERR_SUCCESS
        return super()._handle_pubackcomp(cmd)

    def _sock_recv(self, bufsize: int) -> bytes:
        # Reached with a packet's length by what no intercepting socket reads first.
        if bufsize > MAX_PACKET_SIZE and self.protocol == MQTTProtocolVersion.MQTTv5:
            self._receive_problem = (
                f"the broker sent a packet of {bufsize} bytes; expected at most {MAX_PACKET_SIZE}"
            )
            raise OSError(self._receive_problem)
        return super()._sock_recv(bufsize)

    def _handle_publish(self) -> MQTTErrorCode:
        if self.protocol == MQTTProtocolVersion.MQTTv5:
            packet = self._in_packet
            body = without_unreadable_properties(packet["command"], bytes(packet["packet"]))
            self.has_unreadable_properties = body is not None
            packet["packet"] = packet["packet"] if body is None else bytearray(body)
        return super()._handle_publish()

    def _sock_close(self) -> None:
        with self._write_lock:
            super()._sock_close()

    def _packet_write(self) -> MQTTErrorCode:
        with self._write_lock:
            return super()._packet_write()

    def _packet_queue(self, command: int, packet: Any, mid: int, qos: int, info: Any = None) -> MQTTErrorCode:
        # QoS 0 stays with paho, which has to call `on_publish` once such a packet is written.
        if (
            self._direct_write
            and command & _TYPE_MASK in _DIRECT_WRITE_TYPES
            and qos
            and self._write_lock.acquire(blocking=False)
        ):
            try:
                if self._try_write(command, packet, mid, qos):
                    return MQTTErrorCode.MQTT_ERR_SUCCESS
            finally:
                self._write_lock.release()
        return super()._packet_queue(command, packet, mid, qos, info)

    def _try_write(self, command: int, packet: Any, mid: int, qos: int) -> bool:
        """Write a packet unless others are queued; return whether it was written, at least in part."""
        sock = self.socket()
        if sock is None or self._out_packet:
            return False
        try:
            sent = sock.send(packet)
        except OSError:  # the socket's buffer is full, or paho's thread is about to see the connection's end
            return False
        remaining = len(packet) - sent
        if remaining:  # before all packets that other threads have queued meanwhile
            self._out_packet.appendleft(
                {
                    "command": command,
                    "mid": mid,
                    "qos": qos,
                    "pos": sent,
                    "to_process": remaining,
                    "packet": packet,
                    "info": None,
                }
            )
            if self._sockpairW is not None:
                with suppress(BlockingIOError):  # full of wake-ups: paho's thread will wake anyway
                    self._sockpairW.send(b"0")
        return True
