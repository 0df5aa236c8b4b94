"""A publisher that knows which of its readings the broker has confirmed."""

import select
import threading
import time
from contextlib import suppress

from tests.chaos.raw_mqtt import PUBACK, Link, publish
from tests.chaos.reading_generator import Course, Reading
from tests.conftest import PATIENCE

__all__ = ["Plant"]

_SLICE = 0.01  # seconds between two handfuls of readings
# Above it the plant waits for the broker's word, as any client must at 65,535.
_MOST_UNCONFIRMED = 20_000
_NUMBERS = 65_535


class Plant:
    """Publishes a course at a steady pace, through every death of the broker.

    What is unconfirmed when the connection breaks is sent again, in its order and before anything new.

    Parameters
    ----------
    port : of the broker.
    course : what to send.
    rate : readings a second.
    qos : 0 or 1; at 0 nothing is ever confirmed or sent again.
    """

    def __init__(self, port: int, course: Course, rate: float, qos: int = 1) -> None:
        self._port = port
        self._course = course
        self.rate = rate
        """Readings a second."""
        self._qos = qos
        self._following = iter(course)
        self._unconfirmed: dict[int, Reading] = {}
        self._number = 0
        self._thread = threading.Thread(target=self._work, name="plant", daemon=True)
        self._sends = threading.Event()
        self._closed = threading.Event()
        self._away = threading.Event()
        self._idle = threading.Event()
        self._deciding = threading.Lock()  # whether there is more to send
        self._extra: list[Reading] = []
        self.sent: list[Reading] = []
        """Each reading once, in the order of its first sending."""
        self.error: BaseException | None = None

    def start(self) -> None:
        """Begin to send, or go on after `pause` or `leave`."""
        self._away.clear()
        with self._deciding:
            self._idle.clear()
            self._sends.set()
        if not self._thread.is_alive():
            self._thread.start()

    def leave(self) -> None:
        """Stop sending and disconnect; what is unconfirmed waits for `start`."""
        self._away.set()

    def pause(self) -> None:
        """Stop sending, and wait until the broker has confirmed everything."""
        self._sends.clear()
        self._await_idle()

    def finish(self) -> list[Reading]:
        """Send what resolves every incident; return all that was sent, each of it confirmed."""
        self.pause()
        with self._deciding:
            self._idle.clear()
            self._extra = self._course.ending()
        self._await_idle()
        return self.sent

    def close(self) -> None:
        """End."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE)

    def _await_idle(self) -> None:
        """Wait as long as the broker goes on confirming."""
        seen, left = -1, 0
        while not self._idle.wait(PATIENCE):
            seen, left = left, len(self._unconfirmed)
            assert self.error is None, self.error
            assert left != seen, f"{left} readings stay unconfirmed"

    def _work(self) -> None:
        try:
            while not self._closed.is_set():
                if not self._away.is_set():
                    with suppress(OSError), Link(self._port, "plant") as link:
                        self._repeat(link)
                        self._send_on(link)
                self._closed.wait(_SLICE)
        except BaseException as error:
            self.error = error
            raise

    def _repeat(self, link: Link) -> None:
        """Send again what an earlier connection left unconfirmed."""
        packets = [publish(r.topic, r.payload, n, again=True) for n, r in self._unconfirmed.items()]
        link.send(b"".join(packets))

    def _send_on(self, link: Link) -> None:
        due, before = 0.0, time.monotonic()
        while not (self._closed.is_set() or self._away.is_set()):
            now = time.monotonic()
            due += (now - before) * self.rate
            before = now
            count = min(int(due), _MOST_UNCONFIRMED - len(self._unconfirmed))
            due = min(due - count, self.rate)  # what a slow broker kept back is made up for, within reason
            self._send(link, self._take(count))
            self._rest(link)
            readable, _, _ = select.select([link], [], [], _SLICE)
            if readable:
                for packet in link.receive():
                    if packet.kind == PUBACK:
                        self._unconfirmed.pop(packet.number, None)

    def _rest(self, link: Link) -> None:
        """Be idle when nothing is left to send or to be confirmed."""
        with self._deciding:
            if self._sends.is_set():
                return
            extra, self._extra = self._extra, []
            self._send(link, extra)
            if not self._unconfirmed:
                self._idle.set()

    def _take(self, count: int) -> list[Reading]:
        return [next(self._following) for _ in range(count)] if self._sends.is_set() else []

    def _send(self, link: Link, readings: list[Reading]) -> None:
        packets = []
        for reading in readings:
            self.sent.append(reading)
            if self._qos:
                # Noted before it goes out: whatever happens in between, it is sent again.
                self._number = self._number % _NUMBERS + 1
                self._unconfirmed[self._number] = reading
            packets.append(publish(reading.topic, reading.payload, self._number, qos=self._qos))
        if packets:
            link.send(b"".join(packets))
