"""A socket wrapper that takes PUBLISH packets out of the stream before paho reads it."""

import select
import ssl
from collections.abc import Callable
from typing import Any

from monitor.core.messages import ReadOnce
from monitor.mqtt.packet_parser import PacketParser, PublishPacket

__all__ = ["DeliverCallback", "InterceptingSocket"]

# Bytes that one `recv` may bring: about 2,000 readings. A broker that has to wake this process for every few
# of them becomes slower itself.
_RECV_SIZE = 1 << 18
_PINGREQ, _PINGRESP = b"\xc0\x00", b"\xd0\x00"

DeliverCallback = Callable[[list[PublishPacket], ReadOnce | None], None]
"""Takes parsed packets on the network thread. Until it returns, another thread may call the `ReadOnce` to
read from the socket; packets read that way are delivered on that thread, with None, so no third thread reads
then."""


class InterceptingSocket:
    """Stands between paho and its socket: delivers PUBLISH packets itself, passes all other bytes to paho.

    Parameters
    ----------
    sock : the connected socket, with or without TLS.
    parser : splits the stream.
    deliver : takes the packets.
    on_excess : takes the identifiers of packets that the parser did not admit.
    """

    def __init__(
        self,
        sock: Any,
        parser: PacketParser,
        deliver: DeliverCallback,
        on_excess: Callable[[list[int]], None] = lambda _: None,
    ) -> None:
        self._socket = sock
        self._parser = parser
        self._deliver = deliver
        self._on_excess = on_excess
        self._paho_buffer = bytearray()  # bytes for paho that it has not read yet
        self._recv_buffer = memoryview(bytearray(_RECV_SIZE))
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
        OSError : the connection broke, or must be closed.
        RuntimeError : the callback that takes the packets raised.
        """
        if self._parser.problem:
            raise OSError(self._parser.problem)
        if not self._paho_buffer:
            size_read = self._socket.recv_into(self._recv_buffer)
            if not size_read:
                return b""
            self._parse_and_deliver(size_read, self._read_once)
        if self._parser.problem:
            raise OSError(self._parser.problem)
        if not self._paho_buffer:
            raise BlockingIOError
        part = bytes(self._paho_buffer[:size])
        del self._paho_buffer[:size]
        return part

    def send(self, data: bytes) -> int:
        """Send bytes; return how many the socket accepted."""
        self._ping_pending = self._ping_pending or data == _PINGREQ
        sent: int = self._socket.send(data)
        return sent

    def _read_once(self, timeout: float) -> bool:
        """Read once from the socket on the calling thread, waiting at most `timeout` seconds.

        Returns whether this may be called again. False: the network thread must continue.
        """
        if self._paho_buffer or self._parser.problem:
            return False
        try:
            size_read: int = self._socket.recv_into(self._recv_buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            is_readable = timeout > 0 and select.select([self._socket], [], [], timeout)[0]
            return bool(is_readable) and self._read_once(0.0)
        except OSError:  # paho itself has to find that the connection broke
            return False
        if size_read:
            self._parse_and_deliver(size_read)
        return size_read > 0

    def _parse_and_deliver(self, size: int, read_once: ReadOnce | None = None) -> None:
        """Parse the first `size` bytes of the receive buffer and deliver the packets in it."""
        publishes, rest = self._parser.feed(bytes(self._recv_buffer[:size]))
        self._paho_buffer += rest
        if self._ping_pending and not self._parser.out_of_sync:
            # During a flood the broker's PINGRESP comes behind a minute of readings, and paho would
            # disconnect. But any received packet shows that the connection is alive.
            self._paho_buffer += _PINGRESP
            self._ping_pending = False
        if self._parser.excess_packet_ids:
            excess, self._parser.excess_packet_ids = self._parser.excess_packet_ids, []
            self._on_excess(excess)
        if publishes:
            try:
                self._deliver(publishes, read_once)
            except (
                Exception
            ) as error:  # paho takes some exceptions for errors of the socket and would continue
                raise RuntimeError("a batch of messages could not be taken") from error
