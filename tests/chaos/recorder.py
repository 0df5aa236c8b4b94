"""A durable subscriber that keeps all it gets, and confirms it only then."""

import select
import threading
from contextlib import suppress

from tests.chaos.raw_mqtt import PUBLISH, SUBACK, Connection, Packet
from tests.conftest import wait_until

__all__ = ["Recorder"]

_POLL_INTERVAL_S = 0.02  # seconds


class Recorder:
    """Subscribes with QoS 1 and a session of its own, and comes back whenever the broker does.

    Parameters
    ----------
    port : of the broker.
    client_id : of its session.
    filters : what it listens to.
    """

    def __init__(self, port: int, client_id: str, *filters: str) -> None:
        self._port = port
        self._client_id = client_id
        self._filters = filters
        self._closed = threading.Event()
        self._disconnect_requested = threading.Event()
        self._disconnected = threading.Event()
        self.subscribed = threading.Event()
        """Whether it is connected and subscribed right now."""
        self.packets: list[Packet] = []
        """All deliveries in their order, repeats too."""
        self._thread = threading.Thread(target=self._run, name=f"witness {client_id}", daemon=True)

    def start(self) -> None:
        """Subscribe, and wait until that is granted."""
        self._disconnect_requested.clear()
        if not self._thread.is_alive():
            self._thread.start()
        wait_until(self.subscribed.is_set, f"witness {self._client_id} is subscribed")

    def disconnect(self) -> None:
        """Go away without losing the session; `start` comes back."""
        self._disconnect_requested.set()
        wait_until(self._disconnected.is_set, f"witness {self._client_id} is away")

    def close(self) -> None:
        """End."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set():
            if self._disconnect_requested.is_set():
                self._disconnected.set()
                self._closed.wait(_POLL_INTERVAL_S)
                continue
            self._disconnected.clear()
            with suppress(OSError), Connection(self._port, self._client_id, persistent=True) as connection:
                connection.subscribe(*self._filters)
                self._record_until_disconnect(connection)
            self.subscribed.clear()
            self._closed.wait(_POLL_INTERVAL_S)

    def _record_until_disconnect(self, connection: Connection) -> None:
        while not (self._closed.is_set() or self._disconnect_requested.is_set()):
            readable, _, _ = select.select([connection], [], [], _POLL_INTERVAL_S)
            if not readable:
                continue
            packets = connection.receive()
            publishes = [packet for packet in packets if packet.packet_type == PUBLISH]
            self.packets += publishes
            if any(packet.packet_type == SUBACK for packet in packets):
                self.subscribed.set()
            packet_ids = [packet.packet_id for packet in publishes if packet.packet_id]
            # Whether or not this gets through: when the broker dies, what it had already sent still
            # waits in the socket, and the next `receive` gets it.
            if packet_ids:
                with suppress(OSError):
                    connection.acknowledge(packet_ids)
