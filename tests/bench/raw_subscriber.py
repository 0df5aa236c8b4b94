"""Counts the bytes that the broker sends: `python -m tests.bench.raw_subscriber PORT BYTES`.

No subscriber can be faster. It reads the socket only every few milliseconds, because a broker whose every
packet wakes a subscriber up is slower.
"""

import os
import socket
import sys
import time

from tests.bench.workload import TOPIC_FILTER
from tests.chaos.raw_mqtt import SUBACK, Connection

__all__ = ["main"]

_RECV_BYTES = 1 << 20
_POLL_INTERVAL_S = 0.002
"""Seconds between two reads: the fastest of 0, 0.5, 2 and 10 ms when mosquitto had a core of its own."""


def main() -> None:
    """Subscribe with QoS 0, and print the monotonic time when BYTES bytes have arrived."""
    bytes_left = int(sys.argv[2])
    with (
        Connection(int(sys.argv[1]), "raw-subscriber") as connection,
        socket.socket(fileno=os.dup(connection.fileno())) as sock,
    ):
        connection.subscribe(TOPIC_FILTER, qos=0)
        while not any(packet.packet_type == SUBACK for packet in connection.receive()):
            pass
        sock.settimeout(60.0)
        print("ready", flush=True)
        while bytes_left > 0:
            bytes_left -= len(sock.recv(_RECV_BYTES))
            time.sleep(_POLL_INTERVAL_S)
        print(time.monotonic(), flush=True)
        sys.stdin.readline()  # stay alive until the benchmark has read this process's processor time


if __name__ == "__main__":
    main()
