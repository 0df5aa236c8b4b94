"""A process that sends a workload as fast as possible.

Run as `python -m tests.bench.sender PORT WORKLOAD BATCH_SIZE`.

The sender must not limit the result, so packets are made before the measurement and written in large chunks,
and acknowledgements are not parsed: only their bytes are counted.
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
"""Packets that are written to the socket at once."""
_MAX_UNACKED = 20_000
"""Unacknowledged packets at which it waits: there are only 65,535 packet ids."""
_PUBACK_BYTES = 4
_RECV_BYTES = 1 << 16


def main() -> None:
    """Make the packets and print `ready`; for each line of input, print the time and send a batch.

    The time is in monotonic seconds, which are the same in all processes.
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
    """Send all chunks; with QoS 1, wait for acknowledgements, so that packet ids never run out."""
    sock.settimeout(60.0)
    unacked_bytes = 0  # bytes of PUBACKs that haven't arrived yet
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
