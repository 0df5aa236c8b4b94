"""A publisher that keeps track of which readings the broker has acknowledged."""

import select
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from tests.chaos.raw_mqtt import PUBACK, Connection, publish_packet
from tests.chaos.reading_generator import Reading
from tests.conftest import TIMEOUT_S

__all__ = ["LoadGenerator", "ReadingSource"]

_SEND_INTERVAL_S = 0.01
"""Seconds between two batches of readings."""
_MAX_UNACKED = 20_000
"""Unacknowledged readings at which the generator waits for the broker: there are only 65,535 packet ids."""
_MAX_PACKET_ID = 65_535


class ReadingSource(Protocol):
    """What a plant sends."""

    def __iter__(self) -> Iterator[Reading]:
        """Return the readings in their order, without end."""
        ...

    def final_readings(self) -> list[Reading]:
        """Return the readings that are sent last, see `LoadGenerator.finish`."""
        ...


class LoadGenerator:
    """Publishes readings at a steady rate, and reconnects whenever the broker comes back.

    Readings that are unacknowledged when the connection breaks are sent again in their order, before new
    ones.

    Parameters
    ----------
    port : of the broker.
    readings : readings to send.
    rate : readings a second.
    qos : 0 or 1; with 0 nothing is acknowledged or sent again.
    """

    def __init__(self, port: int, readings: ReadingSource, rate: float, qos: int = 1) -> None:
        self._port = port
        self._source = readings
        self.rate = rate
        """Readings a second."""
        self._qos = qos
        self._readings = iter(readings)
        self._unacked: dict[int, Reading] = {}
        self._packet_id = 0
        self._thread = threading.Thread(target=self._run, name="load generator", daemon=True)
        self._send_enabled = threading.Event()
        self._closed = threading.Event()
        self._disconnect_requested = threading.Event()
        self._idle = threading.Event()
        self._state_lock = threading.Lock()  # guards `_send_enabled`, `_final_readings` and `_idle` together
        self._final_readings: list[Reading] = []
        self.sent_readings: list[Reading] = []
        """Each reading once, in the order in which they were first sent."""
        self.error: BaseException | None = None
        """Exception that ended the sending thread."""

    def start(self) -> None:
        """Begin to send, or continue after `pause` or `disconnect`."""
        self._disconnect_requested.clear()
        with self._state_lock:
            self._idle.clear()
            self._send_enabled.set()
        if not self._thread.is_alive():
            self._thread.start()

    def disconnect(self) -> None:
        """Stop sending and disconnect; unacknowledged readings are kept for `start`."""
        self._disconnect_requested.set()

    def pause(self) -> None:
        """Stop sending, and wait until the broker has acknowledged everything."""
        self._send_enabled.clear()
        self._wait_until_idle()

    def finish(self) -> list[Reading]:
        """Send the final readings; return all sent readings, each acknowledged."""
        self.pause()
        with self._state_lock:
            self._idle.clear()
            self._final_readings = self._source.final_readings()
        self._wait_until_idle()
        return self.sent_readings

    def close(self) -> None:
        """Disconnect and end the thread."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(TIMEOUT_S)

    def _wait_until_idle(self) -> None:
        """Wait until all readings are acknowledged; fail if their number stops changing before."""
        previous, unacked = -1, 0
        while not self._idle.wait(TIMEOUT_S):
            previous, unacked = unacked, len(self._unacked)
            assert self.error is None, self.error
            assert unacked != previous, f"{unacked} readings stay unacknowledged"

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                if not self._disconnect_requested.is_set():
                    with suppress(OSError), Connection(self._port, "plant") as connection:
                        self._resend_unacked(connection)
                        self._send_loop(connection)
                self._closed.wait(_SEND_INTERVAL_S)
        except BaseException as error:
            self.error = error
            raise

    def _resend_unacked(self, connection: Connection) -> None:
        """Send again the readings that an earlier connection left unacknowledged."""
        packets = [
            publish_packet(reading.topic, reading.payload, packet_id, dup=True)
            for packet_id, reading in self._unacked.items()
        ]
        connection.send(b"".join(packets))

    def _send_loop(self, connection: Connection) -> None:
        credit, last_time = 0.0, time.monotonic()
        while not (self._closed.is_set() or self._disconnect_requested.is_set()):
            now = time.monotonic()
            credit += (now - last_time) * self.rate
            last_time = now
            count = min(int(credit), _MAX_UNACKED - len(self._unacked))
            # Capped at 1 s of readings, so that it catches up only so much after a slow broker.
            credit = min(credit - count, self.rate)
            self._send(connection, self._next_readings(count))
            self._set_idle_if_done(connection)
            readable, _, _ = select.select([connection], [], [], _SEND_INTERVAL_S)
            if readable:
                for packet in connection.receive():
                    if packet.packet_type == PUBACK:
                        self._unacked.pop(packet.packet_id, None)

    def _set_idle_if_done(self, connection: Connection) -> None:
        """After `pause` or `finish`: send the final readings, and set `_idle` once all are acknowledged."""
        with self._state_lock:
            if self._send_enabled.is_set():
                return
            final_readings, self._final_readings = self._final_readings, []
            self._send(connection, final_readings)
            if not self._unacked:
                self._idle.set()

    def _next_readings(self, count: int) -> list[Reading]:
        return [next(self._readings) for _ in range(count)] if self._send_enabled.is_set() else []

    def _send(self, connection: Connection, readings: list[Reading]) -> None:
        packets = []
        for reading in readings:
            self.sent_readings.append(reading)
            if self._qos:
                # Recorded before it is sent: if the connection breaks in between, it is sent again.
                self._packet_id = self._packet_id % _MAX_PACKET_ID + 1
                self._unacked[self._packet_id] = reading
            packets.append(publish_packet(reading.topic, reading.payload, self._packet_id, qos=self._qos))
        if packets:
            connection.send(b"".join(packets))
