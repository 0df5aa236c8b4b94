"""A paho client that takes readings off its connection in bulk and acknowledges them in bulk.

Paho spends some 20 µs on a packet: three calls of `recv`, a `select`, a dozen objects. Here one `recv` brings
hundreds of packets, and a reading costs 0.6 µs. Connection, subscriptions, keepalive, QoS 2 and all that is
out of the ordinary remain paho's: it reads what is left of the stream as if nothing else had been in it.
"""

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion

from monitor.core.messages import ReadOnce
from monitor.mqtt.packet_parser import PacketParser, PublishPacket

__all__ = ["BulkClient", "InterceptingSocket"]

# What one call may bring, in bytes: some 2,000 readings. A broker that has to wake us for every few of them
# gets slower itself.
_CHUNK = 1 << 18
# What the kernel holds of a connection until it is read, in bytes, the same all the time: left alone it would
# let tens of megabytes come. Under a flood it is full before we read again, and what the broker sends in the
# meantime gathers in its own kernel and comes in large segments: 6.4 µs a message of the broker's time, where
# one by one they cost it 9.3. A broker 50 ms away still gets 5 MB a second through.
_KERNEL_BUFFER_SIZE = 1 << 18
_PINGREQ, _PINGRESP, _PUBACK = b"\xc0\x00", b"\xd0\x00", b"\x40\x02"
# Types of packet, as the first four bits: what may go past paho's queue.
_TYPE_MASK, _DIRECT_WRITE_TYPES = 0xF0, {0x30, 0x40}

DeliverCallback = Callable[[list[PublishPacket], ReadOnce | None], None]
"""Takes what was peeled off, on the network thread: until it returns, another one may read. What that one
brings is taken on that one, and nobody else may read meanwhile."""
PubackCallback = Callable[[int, int], bool]
"""Hears identifier and reason of a packet that the broker has; returns whether paho needn't hear of it."""


class InterceptingSocket:
    """Stands between paho and its socket, and lets through all but what it delivers and what isn't paho's.

    Parameters
    ----------
    sock : the socket, with or without TLS.
    parser : finds the packets.
    deliver : gets them.
    """

    def __init__(self, sock: Any, parser: PacketParser, deliver: DeliverCallback) -> None:
        self._socket = sock
        self._parser = parser
        self._deliver = deliver
        self._paho_buffer = bytearray()  # what paho has yet to read
        self._recv_buffer = memoryview(bytearray(_CHUNK))
        self._ping_pending = False
        self.fileno = sock.fileno
        self.close = sock.close
        self.setblocking = sock.setblocking

    def pending(self) -> int:
        """Return how many bytes can be read without waiting for the socket."""
        socket_pending = self._socket.pending() if hasattr(self._socket, "pending") else 0
        return len(self._paho_buffer) + int(socket_pending)

    def recv(self, size: int) -> bytes:
        """Return bytes for paho, b"" at the end of the stream.

        Raises
        ------
        BlockingIOError : there are none now.
        OSError : the connection broke.
        RuntimeError : whoever gets the packets failed.
        """
        if not self._paho_buffer:
            size_read = self._socket.recv_into(self._recv_buffer)
            if not size_read:
                return b""
            self._parse_and_deliver(size_read, self._read_once)
        if not self._paho_buffer:
            raise BlockingIOError
        part = bytes(self._paho_buffer[:size])
        del self._paho_buffer[:size]
        return part

    def _read_once(self, timeout: float) -> bool:
        """Read in the place of paho's thread, which waits; return whether this may be called again."""
        if self._paho_buffer:
            return False
        try:
            size_read: int = self._socket.recv_into(self._recv_buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            is_readable = timeout > 0 and select.select([self._socket], [], [], timeout)[0]
            return bool(is_readable) and self._read_once(0.0)
        except OSError:  # that the connection broke is for paho to find out
            return False
        if size_read:
            self._parse_and_deliver(size_read)
        return size_read > 0

    def _parse_and_deliver(self, size: int, read_once: ReadOnce | None = None) -> None:
        """Split what stands in the room, and deliver it."""
        publishes, rest = self._parser.feed(bytes(self._recv_buffer[:size]))
        self._paho_buffer += rest
        if self._ping_pending and not self._parser.out_of_sync:
            # In a flood the broker's answer stands behind a minute of readings, and paho would hang up; but
            # whatever comes shows that the connection is alive.
            self._paho_buffer += _PINGRESP
            self._ping_pending = False
        if publishes:
            try:
                self._deliver(publishes, read_once)
            except Exception as error:  # paho takes some errors for those of the socket, and would go on
                raise RuntimeError("a batch of messages could not be taken") from error

    def send(self, data: bytes) -> int:
        """Send bytes; return how many of them were taken."""
        self._ping_pending = self._ping_pending or data == _PINGREQ
        sent: int = self._socket.send(data)
        return sent


class BulkClient(paho.Client):
    """A paho client whose readings go past it, and whose messages and acknowledgements needn't wait for it.

    Paho's thread writes what others hand it once it has been woken and has Python's lock, which the one that
    woke it still holds: 0.1 ms of an alert's 0.6. So whoever publishes writes, where nothing stands in line.

    What it uses of paho's inside is `_create_socket`, `_create_socket_connection`, `_sock_close`,
    `_packet_queue`, `_packet_write`, `_out_packet`, `_out_messages`, `_sockpairW` and `_mid_generate`, the
    same in 2.1 and 2.2.
    """

    _deliver: DeliverCallback | None = None
    _on_puback: PubackCallback
    _passthrough_prefixes: tuple[bytes, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Held while the socket is written to or closed. Who finds it taken leaves the packet to paho's thread
        # and waits for nothing, so that no order of locks matters.
        self._write_lock = threading.RLock()
        self._direct_write = False

    def intercept(
        self,
        deliver: DeliverCallback,
        passthrough_prefixes: tuple[bytes, ...],
        on_puback: PubackCallback = lambda _, __: False,
    ) -> None:
        """From the next connection on hand packets to `deliver`, unless their topics begin so.

        Whether a packet of our own arrived is told to `on_puback` first.
        """
        self._deliver, self._passthrough_prefixes, self._on_puback = deliver, passthrough_prefixes, on_puback

    def enable_direct_write(self) -> None:
        """Write on the caller's thread, if it can be; not with TLS, whose object is for one thread alone."""
        self._direct_write = True

    def _create_socket_connection(self) -> socket.socket:
        sock: socket.socket = super()._create_socket_connection()
        # Otherwise the second of two alerts stays here until the broker has confirmed the first.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BUFFER_SIZE)
        return sock

    def _create_socket(self) -> Any:
        sock = super()._create_socket()
        if self._deliver is None:
            return sock
        parser = PacketParser(
            has_properties=self.protocol == MQTTProtocolVersion.MQTTv5,
            passthrough_prefixes=self._passthrough_prefixes,
            on_puback=self._on_puback,
        )
        return InterceptingSocket(sock, parser, self._deliver)

    def _sock_close(self) -> None:
        with self._write_lock:
            super()._sock_close()

    def _packet_write(self) -> MQTTErrorCode:
        with self._write_lock:
            return super()._packet_write()

    def _packet_queue(self, command: int, packet: Any, mid: int, qos: int, info: Any = None) -> MQTTErrorCode:
        # A message of QoS 0 means more work to paho once it is written, so that one stays with it.
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
        """Write a packet, if it is its turn; return whether paho needn't be given it."""
        sock = self.socket()
        if sock is None or self._out_packet:
            return False
        try:
            sent = sock.send(packet)
        except OSError:  # there is no room, or paho's thread is about to find out what is wrong
            return False
        remaining = len(packet) - sent
        if remaining:  # ahead of whatever was put in line meanwhile
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
                with suppress(BlockingIOError):  # it has been woken often enough
                    self._sockpairW.send(b"0")
        return True

    def next_packet_id(self) -> int:
        """Return the identifier of the next packet: all that we send share them."""
        return self._mid_generate()

    def published_topic(self, mid: int) -> str:
        """Return the topic of a message that paho publishes, until its `on_publish` returns."""
        return self._out_messages[mid].topic

    def send(self, packet: bytes) -> None:
        """Write a PUBLISH packet of QoS 1, or put it in line; after a break it is gone."""
        self._packet_queue(packet[0], packet, 0, 1)

    def acknowledge(self, packet_ids: Iterable[int]) -> None:
        """Acknowledge QoS 1 packets in one write."""
        packets = b"".join([_PUBACK + number.to_bytes(2) for number in packet_ids])
        if packets:
            self._packet_queue(_PUBACK[0], packets, 0, 1)
