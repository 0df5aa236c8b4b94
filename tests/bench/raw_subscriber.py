"""Counts all bytes that the broker sends: `python -m tests.bench.raw_subscriber PORT BYTES`.

No subscriber is faster than this. It looks only every few milliseconds, for a broker whose every packet wakes
somebody up is slower.
"""

import os
import socket
import sys
import time

from tests.bench.workload import FILTER
from tests.chaos.raw_mqtt import SUBACK, Link

__all__ = ["main"]

_CHUNK = 1 << 20
_PAUSE = 0.002
"""Seconds between two looks: the fastest of 0, 0.5, 2 and 10 ms where mosquitto had a core of its own."""


def main() -> None:
    """Subscribe at QoS 0, and say when so many bytes have come (monotonic seconds)."""
    left = int(sys.argv[2])
    with Link(int(sys.argv[1]), "raw-subscriber") as link, socket.socket(fileno=os.dup(link.fileno())) as raw:
        link.subscribe(FILTER, qos=0)
        while not any(packet.kind == SUBACK for packet in link.receive()):
            pass
        raw.settimeout(60.0)
        print("ready", flush=True)
        while left > 0:
            left -= len(raw.recv(_CHUNK))
            time.sleep(_PAUSE)
        print(time.monotonic(), flush=True)
        sys.stdin.readline()  # what it took is read before it goes


if __name__ == "__main__":
    main()
