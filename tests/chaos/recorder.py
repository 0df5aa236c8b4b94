"""A durable subscriber that keeps all it gets, and confirms it only then."""

import select
import threading
from contextlib import suppress

from tests.chaos.raw_mqtt import PUBLISH, SUBACK, Link, Packet
from tests.conftest import wait_until

__all__ = ["Witness"]

_GLANCE = 0.02  # seconds


class Witness:
    """Subscribes with QoS 1 and a session of its own, and comes back whenever the broker does.

    Parameters
    ----------
    port : of the broker.
    name : of its session.
    filters : what it listens to.
    """

    def __init__(self, port: int, name: str, *filters: str) -> None:
        self._port = port
        self._name = name
        self._filters = filters
        self._closed = threading.Event()
        self._away = threading.Event()
        self._gone = threading.Event()
        self.subscribed = threading.Event()
        """Whether it is connected and subscribed right now."""
        self.packets: list[Packet] = []
        """All deliveries in their order, repeats too."""
        self._thread = threading.Thread(target=self._work, name=f"witness {name}", daemon=True)

    def start(self) -> None:
        """Subscribe, and wait until that is granted."""
        self._away.clear()
        if not self._thread.is_alive():
            self._thread.start()
        wait_until(self.subscribed.is_set, f"witness {self._name} is subscribed")

    def leave(self) -> None:
        """Go away without losing the session; `start` comes back."""
        self._away.set()
        wait_until(self._gone.is_set, f"witness {self._name} is away")

    def close(self) -> None:
        """End."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while not self._closed.is_set():
            if self._away.is_set():
                self._gone.set()
                self._closed.wait(_GLANCE)
                continue
            self._gone.clear()
            with suppress(OSError), Link(self._port, self._name, durable=True) as link:
                link.subscribe(*self._filters)
                self._listen(link)
            self.subscribed.clear()
            self._closed.wait(_GLANCE)

    def _listen(self, link: Link) -> None:
        while not (self._closed.is_set() or self._away.is_set()):
            readable, _, _ = select.select([link], [], [], _GLANCE)
            if not readable:
                continue
            packets = link.receive()
            delivered = [packet for packet in packets if packet.kind == PUBLISH]
            self.packets += delivered
            if any(packet.kind == SUBACK for packet in packets):
                self.subscribed.set()
            numbers = [packet.number for packet in delivered if packet.number]
            # Whether or not this gets through: when the broker dies, what it had already sent still
            # waits in the socket, and the next `receive` gets it.
            if numbers:
                with suppress(OSError):
                    link.confirm(numbers)
