"""A process that sends readings at a steady rate and receives the resulting messages.

`python -m tests.bench.latency_probe PORT WORKLOAD RATE FILTER` prints a `LatencyResult` as JSON. Sender and
subscriber are one process, so one clock measures the time from writing a reading to one socket until the
resulting alert (or echo) is read from the other.
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
"""Seconds without a received message after which no more are expected."""
_QUANTILES = (0.5, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class LatencyResult:
    """Result of one run."""

    latencies_ms: tuple[float, ...]
    """Quantiles 0.5, 0.99 and 0.999 of the latency, in milliseconds."""
    expected_count: int
    """Readings that should have resulted in a message."""
    missing_count: int
    """Those of them that didn't."""


def main() -> None:
    """Send and receive; print the result as JSON."""
    port, workload, rate, topic_filter = (
        int(sys.argv[1]),
        Workload.from_json(sys.argv[2]),
        float(sys.argv[3]),
        sys.argv[4],
    )
    packets = list(workload.packets())
    with (
        Connection(port, "subscriber") as subscriber,
        Connection(port, "sender") as sender,
        socket.socket(fileno=os.dup(sender.fileno())) as sock,
    ):
        subscriber.subscribe(topic_filter, qos=0)
        while not any(packet.packet_type == SUBACK for packet in subscriber.receive()):
            pass
        expected_count = workload.faulty_message_count
        # A duplicate of `sender`'s socket, to read raw bytes. It shares the other's non-blocking mode, so
        # without its own timeout it would raise BlockingIOError instead of waiting.
        sock.settimeout(60.0)
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
    """Send all packets at `rate` a second, and receive until `expected_count` messages have arrived.

    Returns the monotonic time at which each packet was sent, and each received message with its time.
    """
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
            sock.recv(_RECV_BYTES)  # acknowledgements
        if subscriber in readable:
            received_packets = subscriber.receive()
            last_activity = time.monotonic()
            received += [
                (last_activity, packet) for packet in received_packets if packet.packet_type == PUBLISH
            ]
    return sent_at, received


def _causing_message_index(packet: Packet, message_index: Callable[[str, float], int]) -> int:
    """Return the index of the sent message that resulted in this alert or echo."""
    content = json.loads(packet.payload)
    if "window" in content:
        return message_index(content["group"], content["window"]["ts"][-1])
    return message_index("/".join(packet.topic.split("/")[2:4]), content["ts"])


if __name__ == "__main__":
    main()
