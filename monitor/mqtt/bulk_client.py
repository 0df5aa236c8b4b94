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

from monitor.core.messages import Read
from monitor.mqtt.packet_parser import Publish, Splitter

__all__ = ["BulkClient", "Peeler"]

# What one call may bring, in bytes: some 2,000 readings. A broker that has to wake us for every few of them
# gets slower itself.
_CHUNK = 1 << 18
# What the kernel holds of a connection until it is read, in bytes, the same all the time: left alone it would
# let tens of megabytes come. Under a flood it is full before we read again, and what the broker sends in the
# meantime gathers in its own kernel and comes in large segments: 6.4 µs a message of the broker's time, where
# one by one they cost it 9.3. A broker 50 ms away still gets 5 MB a second through.
_HELD = 1 << 18
_PINGREQ, _PINGRESP, _PUBACK = b"\xc0\x00", b"\xd0\x00", b"\x40\x02"
# Types of packet, as the first four bits: what may go past paho's queue.
_TYPE, _AT_ONCE = 0xF0, {0x30, 0x40}

Deliver = Callable[[list[Publish], Read | None], None]
"""Takes what was peeled off, on the network thread: until it returns, another one may read. What that one
brings is taken on that one, and nobody else may read meanwhile."""
Confirmed = Callable[[int, int], bool]
"""Hears identifier and reason of a packet that the broker has; returns whether paho needn't hear of it."""


class Peeler:
    """Stands between paho and its socket, and lets through all but what it delivers and what isn't paho's.

    Parameters
    ----------
    below : the socket, with or without TLS.
    splitter : finds the packets.
    deliver : gets them.
    """

    def __init__(self, below: Any, splitter: Splitter, deliver: Deliver) -> None:
        self._below = below
        self._splitter = splitter
        self._deliver = deliver
        self._left = bytearray()  # what paho has yet to read
        self._room = memoryview(bytearray(_CHUNK))
        self._probing = False
        self.fileno = below.fileno
        self.close = below.close
        self.setblocking = below.setblocking

    def pending(self) -> int:
        """Return how many bytes can be read without waiting for the socket."""
        below = self._below.pending() if hasattr(self._below, "pending") else 0
        return len(self._left) + int(below)

    def recv(self, size: int) -> bytes:
        """Return bytes for paho, b"" at the end of the stream.

        Raises
        ------
        BlockingIOError : there are none now.
        OSError : the connection broke.
        RuntimeError : whoever gets the packets failed.
        """
        if not self._left:
            size_read = self._below.recv_into(self._room)
            if not size_read:
                return b""
            self._take(size_read, self._read_on)
        if not self._left:
            raise BlockingIOError
        part = bytes(self._left[:size])
        del self._left[:size]
        return part

    def _read_on(self, timeout: float) -> bool:
        """Read in the place of paho's thread, which waits; return whether this may be called again."""
        if self._left:
            return False
        try:
            size_read: int = self._below.recv_into(self._room)
        except (BlockingIOError, ssl.SSLWantReadError):
            came = timeout > 0 and select.select([self._below], [], [], timeout)[0]
            return bool(came) and self._read_on(0.0)
        except OSError:  # that the connection broke is for paho to find out
            return False
        if size_read:
            self._take(size_read)
        return size_read > 0

    def _take(self, size: int, read: Read | None = None) -> None:
        """Split what stands in the room, and deliver it."""
        publishes, rest = self._splitter.feed(bytes(self._room[:size]))
        self._left += rest
        if self._probing and not self._splitter.lost:
            # In a flood the broker's answer stands behind a minute of readings, and paho would hang up; but
            # whatever comes shows that the connection is alive.
            self._left += _PINGRESP
            self._probing = False
        if publishes:
            try:
                self._deliver(publishes, read)
            except Exception as error:  # paho takes some errors for those of the socket, and would go on
                raise RuntimeError("a batch of messages could not be taken") from error

    def send(self, data: bytes) -> int:
        """Send bytes; return how many of them were taken."""
        self._probing = self._probing or data == _PINGREQ
        sent: int = self._below.send(data)
        return sent


class BulkClient(paho.Client):
    """A paho client whose readings go past it, and whose messages and acknowledgements needn't wait for it.

    Paho's thread writes what others hand it once it has been woken and has Python's lock, which the one that
    woke it still holds: 0.1 ms of an alert's 0.6. So whoever publishes writes, where nothing stands in line.

    What it uses of paho's inside is `_create_socket`, `_create_socket_connection`, `_sock_close`,
    `_packet_queue`, `_packet_write`, `_out_packet`, `_out_messages`, `_sockpairW` and `_mid_generate`, the
    same in 2.1 and 2.2.
    """

    _deliver: Deliver | None = None
    _confirmed: Confirmed
    _left: tuple[bytes, ...] = ()

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        # Held while the socket is written to or closed. Who finds it taken leaves the packet to paho's thread
        # and waits for nothing, so that no order of locks matters.
        self._writing = threading.RLock()
        self._at_once = False

    def peel(
        self, deliver: Deliver, left: tuple[bytes, ...], confirmed: Confirmed = lambda _, __: False
    ) -> None:
        """From the next connection on hand packets to `deliver`, unless their topics begin so.

        Whether a packet of our own arrived is told to `confirmed` first.
        """
        self._deliver, self._left, self._confirmed = deliver, left, confirmed

    def write_at_once(self) -> None:
        """Write on the caller's thread, if it can be; not with TLS, whose object is for one thread alone."""
        self._at_once = True

    def _create_socket_connection(self) -> socket.socket:
        line: socket.socket = super()._create_socket_connection()
        # Otherwise the second of two alerts stays here until the broker has confirmed the first.
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _HELD)
        return line

    def _create_socket(self) -> Any:
        below = super()._create_socket()
        if self._deliver is None:
            return below
        splitter = Splitter(
            properties=self.protocol == MQTTProtocolVersion.MQTTv5,
            left=self._left,
            confirmed=self._confirmed,
        )
        return Peeler(below, splitter, self._deliver)

    def _sock_close(self) -> None:
        with self._writing:
            super()._sock_close()

    def _packet_write(self) -> MQTTErrorCode:
        with self._writing:
            return super()._packet_write()

    def _packet_queue(self, command: int, packet: Any, mid: int, qos: int, info: Any = None) -> MQTTErrorCode:
        # A message of QoS 0 means more work to paho once it is written, so that one stays with it.
        if self._at_once and command & _TYPE in _AT_ONCE and qos and self._writing.acquire(blocking=False):
            try:
                if self._write(command, packet, mid, qos):
                    return MQTTErrorCode.MQTT_ERR_SUCCESS
            finally:
                self._writing.release()
        return super()._packet_queue(command, packet, mid, qos, info)

    def _write(self, command: int, packet: Any, mid: int, qos: int) -> bool:
        """Write a packet, if it is its turn; return whether paho needn't be given it."""
        below = self.socket()
        if below is None or self._out_packet:
            return False
        try:
            sent = below.send(packet)
        except OSError:  # there is no room, or paho's thread is about to find out what is wrong
            return False
        left = len(packet) - sent
        if left:  # ahead of whatever was put in line meanwhile
            self._out_packet.appendleft(
                {
                    "command": command,
                    "mid": mid,
                    "qos": qos,
                    "pos": sent,
                    "to_process": left,
                    "packet": packet,
                    "info": None,
                }
            )
            if self._sockpairW is not None:
                with suppress(BlockingIOError):  # it has been woken often enough
                    self._sockpairW.send(b"0")
        return True

    def next_identifier(self) -> int:
        """Return the identifier of the next packet: all that we send share them."""
        return self._mid_generate()

    def topic_of(self, number: int) -> str:
        """Return the topic of a message that paho publishes, until its `on_publish` returns."""
        return self._out_messages[number].topic

    def send(self, packet: bytes) -> None:
        """Write a PUBLISH packet of QoS 1, or put it in line; after a break it is gone."""
        self._packet_queue(packet[0], packet, 0, 1)

    def acknowledge(self, numbers: Iterable[int]) -> None:
        """Acknowledge QoS 1 packets in one write."""
        packets = b"".join([_PUBACK + number.to_bytes(2) for number in numbers])
        if packets:
            self._packet_queue(_PUBACK[0], packets, 0, 1)
