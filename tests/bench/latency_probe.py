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

from tests.bench.workload import Workload
from tests.chaos.raw_mqtt import PUBLISH, SUBACK, Connection, Packet

__all__ = ["LatencyResult", "main"]

_RECV_BYTES = 1 << 16
_IDLE_TIMEOUT_S = 3.0
"""Seconds without anything heard after which nothing more is expected."""
_QUANTILES = (0.5, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class LatencyResult:
    """How it went."""

    latencies_ms: tuple[float, ...]
    """From sent to heard, in milliseconds: the median, 99 of 100, 999 of 1,000."""
    expected_count: int
    """Readings that were to cause something."""
    missing_count: int
    """Those of them that didn't."""


def main() -> None:
    """Send and hear; say how it went as JSON."""
    port, workload, rate, topic_filter = (
        int(sys.argv[1]),
        Workload.from_json(sys.argv[2]),
        float(sys.argv[3]),
        sys.argv[4],
    )
    packets = list(workload.packets())
    with (
        Connection(port, "ear") as subscriber,
        Connection(port, "sender") as sender,
        socket.socket(fileno=os.dup(sender.fileno())) as sock,
    ):
        subscriber.subscribe(topic_filter, qos=0)
        while not any(packet.packet_type == SUBACK for packet in subscriber.receive()):
            pass
        expected_count = workload.faulty_message_count
        sock.settimeout(60.0)  # it shares its end with `link`, which never blocks
        sent_at, received = _send_and_receive(packets, rate, expected_count, sock, subscriber)
    message_index = workload.message_index_lookup()
    latencies_by_index: dict[int, float] = {}
    for received_at, packet in received:
        index = _causing_message_index(packet, message_index)
        latencies_by_index.setdefault(index, received_at - sent_at[index])
    sorted_latencies = sorted(latencies_by_index.values())
    latencies_ms = tuple(
        1000 * sorted_latencies[min(int(len(sorted_latencies) * quantile), len(sorted_latencies) - 1)]
        for quantile in _QUANTILES
    )
    print(
        json.dumps(
            asdict(LatencyResult(latencies_ms, expected_count, expected_count - len(latencies_by_index)))
        )
    )


def _send_and_receive(
    packets: list[bytes], rate: float, expected_count: int, sock: socket.socket, subscriber: Connection
) -> tuple[list[float], list[tuple[float, Packet]]]:
    """Send, and hear until so many are due; return when each packet was sent, and what was heard when."""
    sent_at: list[float] = []
    received: list[tuple[float, Packet]] = []
    started_at = last_activity = time.monotonic()
    while len(sent_at) < len(packets) or (
        len(received) < expected_count and time.monotonic() - last_activity < _IDLE_TIMEOUT_S
    ):
        now = time.monotonic()
        due_packets = packets[len(sent_at) : int((now - started_at) * rate) + 1]
        if due_packets:
            sent_at += [now] * len(due_packets)
            sock.sendall(b"".join(due_packets))
            last_activity = now
        timeout = (
            started_at + len(sent_at) / rate - time.monotonic()
            if len(sent_at) < len(packets)
            else _IDLE_TIMEOUT_S
        )
        sockets: list[socket.socket | Connection] = [sock, subscriber]
        readable, _, _ = select.select(sockets, [], [], max(timeout, 0.0))
        if sock in readable:
            sock.recv(_RECV_BYTES)  # confirmations
        if subscriber in readable:
            received_packets = subscriber.receive()
            last_activity = time.monotonic()
            received += [
                (last_activity, packet) for packet in received_packets if packet.packet_type == PUBLISH
            ]
    return sent_at, received


def _causing_message_index(packet: Packet, message_index: Callable[[str, float], int]) -> int:
    """Return which message an alert, or a message that was echoed, is due to."""
    content = json.loads(packet.payload)
    if "window" in content:
        return message_index(content["group"], content["window"]["ts"][-1])
    return message_index("/".join(packet.topic.split("/")[2:4]), content["ts"])


if __name__ == "__main__":
    main()
