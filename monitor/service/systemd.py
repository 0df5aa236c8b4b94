"""The sd_notify protocol: datagrams with the state of the process, to the socket that systemd names.

See sd_notify(3). Without NOTIFY_SOCKET, as from a terminal, nothing is sent.
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
    environment : has NOTIFY_SOCKET and WATCHDOG_USEC.
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
        # Two messages within the time that systemd allows.
        self._watchdog_interval_s = int(environment.get("WATCHDOG_USEC", "0")) / 2e6
        self._next_watchdog_at = 0.0

    def notify_ready(self) -> None:
        """Notify that the service works, after a start or a reload."""
        self._send("READY=1")

    def notify_reloading(self) -> None:
        """Notify that a reload began; `notify_ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def notify_stopping(self) -> None:
        """Notify that the stop began."""
        self._send("STOPPING=1")

    def feed_watchdog(self) -> None:
        """Reset the watchdog; only the calls that it needs send a message."""
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
            with suppress(OSError):  # a manager that doesn't read is no reason to stop judging
                self._socket.sendto(text.encode(), self._address)
