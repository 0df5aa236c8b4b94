"""A subscriber with a persistent session that stores each message before it acknowledges it."""

import select
import threading
from contextlib import suppress

from tests.chaos.raw_mqtt import PUBLISH, SUBACK, Connection, Packet
from tests.conftest import wait_until

__all__ = ["Recorder"]

_POLL_INTERVAL_S = 0.02


class Recorder:
    """Subscribes with QoS 1 and a persistent session, and reconnects whenever the broker comes back.

    Parameters
    ----------
    port : of the broker.
    client_id : of its session.
    filters : topic filters that it subscribes to.
    """

    def __init__(self, port: int, client_id: str, *filters: str) -> None:
        self._port = port
        self._client_id = client_id
        self._filters = filters
        self._closed = threading.Event()
        self._disconnect_requested = threading.Event()
        self._disconnected = threading.Event()
        self.subscribed = threading.Event()
        """Set while it is connected and subscribed."""
        self.packets: list[Packet] = []
        """All deliveries in their order, duplicates included."""
        self._thread = threading.Thread(target=self._run, name=f"recorder {client_id}", daemon=True)

    def start(self) -> None:
        """Connect, subscribe, and wait for the SUBACK."""
        self._disconnect_requested.clear()
        if not self._thread.is_alive():
            self._thread.start()
        wait_until(self.subscribed.is_set, f"recorder {self._client_id} is subscribed")

    def disconnect(self) -> None:
        """Disconnect, but keep the session at the broker; `start` reconnects."""
        self._disconnect_requested.set()
        wait_until(self._disconnected.is_set, f"recorder {self._client_id} is disconnected")

    def close(self) -> None:
        """Disconnect and end the thread."""
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
            # A failure is ignored: when the broker dies, bytes that it had already sent are still in the
            # socket's buffer, and the next `receive` returns them.
            if packet_ids:
                with suppress(OSError):
                    connection.acknowledge(packet_ids)
