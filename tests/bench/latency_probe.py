"""A process that sends a feed at a steady rate and hears what comes of it: `pace PORT FEED RATE FILTER`.

One process and one clock for both ends: the time from handing a reading to the socket until what it caused is
read from another.
"""

import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from tests.bench.workload import Feed
from tests.chaos.raw_mqtt import PUBLISH, SUBACK, Link, Packet

__all__ = ["Pace", "main"]

_CHUNK = 1 << 16
_QUIET = 3.0
"""Seconds without anything heard after which nothing more is expected."""
_SHARES = (0.5, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class Pace:
    """How it went."""

    ms: tuple[float, ...]
    """From sent to heard, in milliseconds: the median, 99 of 100, 999 of 1,000."""
    due: int
    """Readings that were to cause something."""
    unheard: int
    """Those of them that didn't."""


def main() -> None:
    """Send and hear; say how it went as JSON."""
    port, feed, rate, filter_ = int(sys.argv[1]), Feed.of_json(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    packets = list(feed.packets())
    with (
        Link(port, "ear") as ear,
        Link(port, "sender") as link,
        socket.socket(fileno=os.dup(link.fileno())) as raw,
    ):
        ear.subscribe(filter_, qos=0)
        while not any(packet.kind == SUBACK for packet in ear.receive()):
            pass
        due = feed.faulty
        raw.settimeout(60.0)  # it shares its end with `link`, which never blocks
        sent, heard = _run(packets, rate, due, raw, ear)
    find = feed.finder()
    took: dict[int, float] = {}
    for when, packet in heard:
        index = _find(packet, find)
        took.setdefault(index, when - sent[index])
    ordered = sorted(took.values())
    ms = tuple(1000 * ordered[min(int(len(ordered) * share), len(ordered) - 1)] for share in _SHARES)
    print(json.dumps(asdict(Pace(ms, due, due - len(took)))))


def _run(
    packets: list[bytes], rate: float, due: int, raw: socket.socket, ear: Link
) -> tuple[list[float], list[tuple[float, Packet]]]:
    """Send, and hear until so many are due; return when each packet was sent, and what was heard when."""
    sent: list[float] = []
    heard: list[tuple[float, Packet]] = []
    began = last = time.monotonic()
    while len(sent) < len(packets) or (len(heard) < due and time.monotonic() - last < _QUIET):
        now = time.monotonic()
        some = packets[len(sent) : int((now - began) * rate) + 1]
        if some:
            sent += [now] * len(some)
            raw.sendall(b"".join(some))
            last = now
        left = began + len(sent) / rate - time.monotonic() if len(sent) < len(packets) else _QUIET
        ends: list[socket.socket | Link] = [raw, ear]
        readable, _, _ = select.select(ends, [], [], max(left, 0.0))
        if raw in readable:
            raw.recv(_CHUNK)  # confirmations
        if ear in readable:
            packets_heard = ear.receive()
            last = time.monotonic()
            heard += [(last, packet) for packet in packets_heard if packet.kind == PUBLISH]
    return sent, heard


def _find(packet: Packet, find: Callable[[str, float], int]) -> int:
    """Return which message an alert, or a message that was echoed, is due to."""
    content = json.loads(packet.payload)
    if "window" in content:
        return find(content["group"], content["window"]["ts"][-1])
    return find("/".join(packet.topic.split("/")[2:4]), content["ts"])


if __name__ == "__main__":
    main()
