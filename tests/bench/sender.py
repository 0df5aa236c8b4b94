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

from tests.bench.workload import Feed
from tests.chaos.raw_mqtt import Link

__all__ = ["main"]

_PIECE = 250
"""Packets that go out at once."""
_MOST_UNCONFIRMED = 20_000
"""A client that numbers its packets has 65,535 numbers."""
_PUBACK_BYTES = 4
_CHUNK = 1 << 16


def main() -> None:
    """Make the packets and say `ready`; with each line of input say the time and send a handful of them.

    The time is in monotonic seconds, which all processes share.
    """
    feed, handful = Feed.of_json(sys.argv[2]), int(sys.argv[3])
    packets = feed.packets()
    handfuls = []
    while some := list(islice(packets, handful)):
        handfuls.append([(len(part), b"".join(part)) for part in _split(some)])
    with (
        Link(int(sys.argv[1]), "sender") as link,
        socket.socket(fileno=os.dup(link.fileno())) as raw,
    ):
        print("ready", flush=True)
        for pieces in handfuls:
            sys.stdin.readline()
            print(time.monotonic(), flush=True)
            _send(raw, pieces, confirmed=feed.qos > 0)


def _split(packets: list[bytes]) -> Iterator[list[bytes]]:
    for begin in range(0, len(packets), _PIECE):
        yield packets[begin : begin + _PIECE]


def _send(raw: socket.socket, pieces: list[tuple[int, bytes]], *, confirmed: bool) -> None:
    """Send all; where the broker confirms, wait for that, so that its numbers never run out."""
    raw.settimeout(60.0)
    open_bytes = 0  # of confirmations that are still to come
    for count, piece in pieces:
        raw.sendall(piece)
        open_bytes += count * _PUBACK_BYTES if confirmed else 0
        while open_bytes and (open_bytes > _MOST_UNCONFIRMED * _PUBACK_BYTES or _readable(raw)):
            open_bytes -= len(raw.recv(_CHUNK))
    while open_bytes:
        open_bytes -= len(raw.recv(_CHUNK))


def _readable(raw: socket.socket) -> bool:
    return bool(select.select([raw], [], [], 0)[0])


if __name__ == "__main__":
    main()
