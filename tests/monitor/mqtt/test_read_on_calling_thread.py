import socket
from typing import Any

from monitor.core.messages import ReadOnce
from monitor.mqtt.intercepting_socket import InterceptingSocket
from monitor.mqtt.packet_parser import PacketParser, PublishPacket


def test_another_thread_reads() -> None:
    """While paho's thread pauses another thread may read, until a packet for paho arrives."""
    ours, theirs = socket.socketpair()
    reading, ping = b"\x30\4\0\1ax", b"\xd0\0"
    delivered: list[Any] = []
    results: list[tuple[bool, int]] = []

    def deliver(publishes: list[PublishPacket], read: ReadOnce | None) -> None:
        delivered.extend(publishes)
        for sent in (b"", reading, reading[:3], reading[3:] + ping, reading) if read else ():
            theirs.send(sent)
            results.append((read(0.0), len(delivered)))

    with ours, theirs:
        ours.settimeout(0.0)
        theirs.send(reading)
        intercepting_socket = InterceptingSocket(
            ours, PacketParser(has_properties=False, passthrough_prefixes=()), deliver
        )
        assert intercepting_socket.recv(2) == ping
        # Nothing to read; a reading; part of one; the rest and a packet for paho; then it reads no more.
        assert results == [(False, 1), (True, 2), (True, 2), (True, 3), (False, 3)]
        assert intercepting_socket._read_once(60.0), "a reading ends the wait"  # noqa: SLF001
        assert len(delivered) == 4
        theirs.close()
        assert not intercepting_socket._read_once(60.0), "the end of the stream ends it"  # noqa: SLF001
        assert intercepting_socket.recv(2) == b""
