import socket
from typing import Any

from monitor.core.messages import Read
from monitor.mqtt.bulk_client import Peeler
from monitor.mqtt.packet_parser import Publish, Splitter


def test_another_thread_reads_on() -> None:
    """While paho's thread pauses another one reads, until something is there that is paho's."""
    ours, theirs = socket.socketpair()
    reading, ping = b"\x30\4\0\1ax", b"\xd0\0"
    got: list[Any] = []
    told: list[tuple[bool, int]] = []

    def deliver(publishes: list[Publish], read: Read | None) -> None:
        got.extend(publishes)
        for sent in (b"", reading, reading[:3], reading[3:] + ping, reading) if read else ():
            theirs.send(sent)
            told.append((read(0.0), len(got)))

    with ours, theirs:
        ours.settimeout(0.0)
        theirs.send(reading)
        peeler = Peeler(ours, Splitter(properties=False, left=()), deliver)
        assert peeler.recv(2) == ping
        # Nothing there, a reading, half of one, the rest and what is paho's; and then nothing is touched.
        assert told == [(False, 1), (True, 2), (True, 2), (True, 3), (False, 3)]
        assert peeler._read_on(60.0), "a reading ends the wait for one"  # noqa: SLF001
        assert len(got) == 4
        theirs.close()
        assert not peeler._read_on(60.0), "the end of the stream does"  # noqa: SLF001
        assert peeler.recv(2) == b""
