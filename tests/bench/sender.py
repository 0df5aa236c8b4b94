"""A process that sends a feed flat out: `python -m tests.bench.sender PORT FEED HANDFUL`.

The load must not be what is measured: packets are made beforehand and go out in large pieces, and of the
broker's confirmations only the bytes are counted.
"""

import os
import select
import socket
import sys
import time
from collections.abc import Iterator
from itertools import islice

from tests.bench.workload import Workload
from tests.chaos.raw_mqtt import Connection

__all__ = ["main"]

_PACKETS_PER_WRITE = 250
"""Packets that go out at once."""
_MAX_UNACKED = 20_000
"""A client that numbers its packets has 65,535 numbers."""
_PUBACK_BYTES = 4
_RECV_BYTES = 1 << 16


def main() -> None:
    """Make the packets and say `ready`; with each line of input say the time and send a handful of them.

    The time is in monotonic seconds, which all processes share.
    """
    workload, batch_size = Workload.from_json(sys.argv[2]), int(sys.argv[3])
    packets = workload.packets()
    batches = []
    while batch := list(islice(packets, batch_size)):
        batches.append(
            [(len(packets_part), b"".join(packets_part)) for packets_part in _split_packets(batch)]
        )
    with (
        Connection(int(sys.argv[1]), "sender") as connection,
        socket.socket(fileno=os.dup(connection.fileno())) as sock,
    ):
        print("ready", flush=True)
        for chunks in batches:
            sys.stdin.readline()
            print(time.monotonic(), flush=True)
            _send_chunks(sock, chunks, expect_acks=workload.qos > 0)


def _split_packets(packets: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(packets), _PACKETS_PER_WRITE):
        yield packets[start : start + _PACKETS_PER_WRITE]


def _send_chunks(sock: socket.socket, chunks: list[tuple[int, bytes]], *, expect_acks: bool) -> None:
    """Send all; where the broker confirms, wait for that, so that its numbers never run out."""
    sock.settimeout(60.0)
    unacked_bytes = 0  # of confirmations that are still to come
    for count, chunk in chunks:
        sock.sendall(chunk)
        unacked_bytes += count * _PUBACK_BYTES if expect_acks else 0
        while unacked_bytes and (unacked_bytes > _MAX_UNACKED * _PUBACK_BYTES or _is_readable(sock)):
            unacked_bytes -= len(sock.recv(_RECV_BYTES))
    while unacked_bytes:
        unacked_bytes -= len(sock.recv(_RECV_BYTES))


def _is_readable(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])


if __name__ == "__main__":
    main()
