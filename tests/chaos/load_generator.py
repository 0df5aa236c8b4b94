"""A publisher that knows which of its readings the broker has confirmed."""

import select
import threading
import time
from contextlib import suppress

from tests.chaos.raw_mqtt import PUBACK, Connection, publish_packet
from tests.chaos.reading_generator import Reading, ReadingGenerator
from tests.conftest import TIMEOUT_S

__all__ = ["LoadGenerator"]

_SEND_INTERVAL_S = 0.01  # seconds between two handfuls of readings
# Above it the plant waits for the broker's word, as any client must at 65,535.
_MAX_UNACKED = 20_000
_MAX_PACKET_ID = 65_535


class LoadGenerator:
    """Publishes a course at a steady pace, through every death of the broker.

    What is unconfirmed when the connection breaks is sent again, in its order and before anything new.

    Parameters
    ----------
    port : of the broker.
    readings : what to send.
    rate : readings a second.
    qos : 0 or 1; at 0 nothing is ever confirmed or sent again.
    """

    def __init__(self, port: int, readings: ReadingGenerator, rate: float, qos: int = 1) -> None:
        self._port = port
        self._generator = readings
        self.rate = rate
        """Readings a second."""
        self._qos = qos
        self._readings = iter(readings)
        self._unacked: dict[int, Reading] = {}
        self._packet_id = 0
        self._thread = threading.Thread(target=self._run, name="plant", daemon=True)
        self._send_enabled = threading.Event()
        self._closed = threading.Event()
        self._disconnect_requested = threading.Event()
        self._idle = threading.Event()
        self._state_lock = threading.Lock()  # whether there is more to send
        self._final_readings: list[Reading] = []
        self.sent_readings: list[Reading] = []
        """Each reading once, in the order of its first sending."""
        self.error: BaseException | None = None

    def start(self) -> None:
        """Begin to send, or go on after `pause` or `disconnect`."""
        self._disconnect_requested.clear()
        with self._state_lock:
            self._idle.clear()
            self._send_enabled.set()
        if not self._thread.is_alive():
            self._thread.start()

    def disconnect(self) -> None:
        """Stop sending and disconnect; what is unconfirmed waits for `start`."""
        self._disconnect_requested.set()

    def pause(self) -> None:
        """Stop sending, and wait until the broker has confirmed everything."""
        self._send_enabled.clear()
        self._wait_until_idle()

    def finish(self) -> list[Reading]:
        """Send what resolves every incident; return all that was sent, each of it confirmed."""
        self.pause()
        with self._state_lock:
            self._idle.clear()
            self._final_readings = self._generator.recovery_readings()
        self._wait_until_idle()
        return self.sent_readings

    def close(self) -> None:
        """End."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(TIMEOUT_S)

    def _wait_until_idle(self) -> None:
        """Wait as long as the broker goes on confirming."""
        previous, unacked = -1, 0
        while not self._idle.wait(TIMEOUT_S):
            previous, unacked = unacked, len(self._unacked)
            assert self.error is None, self.error
            assert unacked != previous, f"{unacked} readings stay unconfirmed"

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
        """Send again what an earlier connection left unconfirmed."""
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
            credit = min(
                credit - count, self.rate
            )  # what a slow broker kept back is made up for, within reason
            self._send(connection, self._next_readings(count))
            self._set_idle_if_done(connection)
            readable, _, _ = select.select([connection], [], [], _SEND_INTERVAL_S)
            if readable:
                for packet in connection.receive():
                    if packet.packet_type == PUBACK:
                        self._unacked.pop(packet.packet_id, None)

    def _set_idle_if_done(self, connection: Connection) -> None:
        """Be idle when nothing is left to send or to be confirmed."""
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
                # Noted before it goes out: whatever happens in between, it is sent again.
                self._packet_id = self._packet_id % _MAX_PACKET_ID + 1
                self._unacked[self._packet_id] = reading
            packets.append(publish_packet(reading.topic, reading.payload, self._packet_id, qos=self._qos))
        if packets:
            connection.send(b"".join(packets))
