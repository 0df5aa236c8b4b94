"""Ends the process on request, and notifies the service manager of its state."""

import logging
import threading
from typing import Any

from monitor.service.systemd import Systemd

__all__ = ["ProcessControl"]

_log = logging.getLogger(__name__)


class ProcessControl:
    """Records the request to end the process, which any thread can make.

    Parameters
    ----------
    systemd : receives the notifications about the state of the process.
    """

    def __init__(self, systemd: Systemd) -> None:
        self._systemd = systemd
        self._exit_requested = threading.Event()
        self._exit_code = 0
        self._previous_excepthook = threading.excepthook

    @property
    def exit_requested(self) -> bool:
        """Whether some thread requested the end of the process, or failed."""
        return self._exit_requested.is_set()

    def watch_threads(self) -> None:
        """Request the exit when any thread ends with an exception: the daemon must not go on without it."""
        self._previous_excepthook, threading.excepthook = threading.excepthook, self._on_thread_exception

    def unwatch_threads(self) -> None:
        """Undo `watch_threads`."""
        threading.excepthook = self._previous_excepthook

    def request_exit(self, exit_code: int = 0) -> None:
        """Make `wait_for_exit` return; of several exit codes, the first that is not 0 counts."""
        self._exit_code = self._exit_code or exit_code
        self._exit_requested.set()

    def wait_for_exit(self) -> int:
        """Wait until some thread requests the exit; return the exit code."""
        self._exit_requested.wait()
        return self._exit_code

    def notify_ready(self) -> None:
        """Tell the service manager that the start or a reload is complete."""
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
