"""The sd_notify protocol: sends datagrams with the state of the process to systemd's socket.

See sd_notify(3). If NOTIFY_SOCKET is not set, for example in a terminal, nothing is sent.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

__all__ = ["Systemd"]


class Systemd:
    """Notifies the service manager, if there is one.

    Parameters
    ----------
    environment : environment variables, of which NOTIFY_SOCKET and WATCHDOG_USEC are used.
    monotonic : returns monotonic seconds.
    """

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        # Two messages within the time after which systemd would kill the process.
        self._watchdog_interval_s = int(environment.get("WATCHDOG_USEC", "0")) / 2e6
        self._next_watchdog_at = 0.0

    def notify_ready(self) -> None:
        """Notify that the start or a reload is complete."""
        self._send("READY=1")

    def notify_reloading(self) -> None:
        """Notify that a reload began; `notify_ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def notify_stopping(self) -> None:
        """Notify that the stop began."""
        self._send("STOPPING=1")

    def feed_watchdog(self) -> None:
        """Reset the watchdog; a message is sent only if half of the watchdog's time has passed."""
        now = self._monotonic()
        if self._watchdog_interval_s and now >= self._next_watchdog_at:
            self._next_watchdog_at = now + self._watchdog_interval_s
            self._send("WATCHDOG=1")

    def close(self) -> None:
        """Close the socket; later notifications are not sent."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, text: str) -> None:
        if self._socket is not None:
            with suppress(OSError):  # the monitor continues if the service manager can't be reached
                self._socket.sendto(text.encode(), self._address)
