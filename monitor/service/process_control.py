"""The request to end the process, and the notifications to its service manager."""

import logging
import threading
from typing import Any

from monitor.service.systemd import Systemd

__all__ = ["ProcessControl"]

_log = logging.getLogger(__name__)


class ProcessControl:
    """Keeps the request to end the process, which any thread can make.

    Parameters
    ----------
    systemd : is notified of the state of the process.
    """

    def __init__(self, systemd: Systemd) -> None:
        self._systemd = systemd
        self._exit_requested = threading.Event()
        self._exit_code = 0
        self._previous_excepthook = threading.excepthook

    @property
    def exit_requested(self) -> bool:
        """Whether some thread requested the end, or died."""
        return self._exit_requested.is_set()

    def watch_threads(self) -> None:
        """Request the exit when any thread dies of an exception: no monitor is better than half of one."""
        self._previous_excepthook, threading.excepthook = threading.excepthook, self._on_thread_exception

    def unwatch_threads(self) -> None:
        """Undo `watch_threads`."""
        threading.excepthook = self._previous_excepthook

    def request_exit(self, exit_code: int = 0) -> None:
        """End `wait_for_exit`, with the first code that isn't 0."""
        self._exit_code = self._exit_code or exit_code
        self._exit_requested.set()

    def wait_for_exit(self) -> int:
        """Wait until some thread requests the exit; return the exit code."""
        self._exit_requested.wait()
        return self._exit_code

    def notify_ready(self) -> None:
        """Tell the service manager that the service works, after a start or a reload."""
        self._systemd.notify_ready()

    def notify_reloading(self) -> None:
        """Tell the service manager that a reload began; `notify_ready` ends it."""
        self._systemd.notify_reloading()

    def notify_stopping(self) -> None:
        """Tell the service manager that the stop began."""
        self._systemd.notify_stopping()

    def close(self) -> None:
        """Close the connection to the service manager."""
        self._systemd.close()

    def _on_thread_exception(self, args: Any) -> None:
        name = args.thread.name if args.thread else "unknown"
        trace = (args.exc_type, args.exc_value, args.exc_traceback)
        _log.critical("thread %r died, so the monitor stops", name, exc_info=trace)
        self.request_exit(1)
