"""Syncs the store's write-ahead log to the disk while it grows, on a separate thread."""

import os
import threading
from contextlib import suppress
from pathlib import Path

__all__ = ["WalSync"]

_sync = getattr(os, "fdatasync", os.fsync)  # fdatasync does not exist on every system


class WalSync:
    """Writes a file's dirty pages from the kernel's cache to the disk when requested.

    This only shortens SQLite's own syncs: SQLite still syncs the file before each checkpoint. An error is
    ignored here, because the kernel reports it once to each open descriptor of the file, so SQLite gets it as
    well.

    Parameters
    ----------
    path : the file; it must exist when `request_sync` is called first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sync_requested = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def request_sync(self) -> None:
        """Start syncing the data written so far, without waiting until it is on the disk."""
        if self._thread.ident is None:
            self._thread.start()
        self._sync_requested.set()

    def close(self) -> None:
        """End the thread and close the file."""
        self._closed = True
        if self._thread.ident is not None:
            self._sync_requested.set()
            self._thread.join()

    def _run(self) -> None:
        with suppress(OSError):
            file = os.open(self._path, os.O_RDWR)
            try:
                while self._sync_requested.wait() and not self._closed:
                    self._sync_requested.clear()
                    _sync(file)
            finally:
                os.close(file)
