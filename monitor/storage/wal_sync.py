"""Brings a file that grows to the disk piece by piece, on a thread of its own."""

import os
import threading
from contextlib import suppress
from pathlib import Path

__all__ = ["WalSync"]

_sync = getattr(os, "fdatasync", os.fsync)  # the former is not on every system


class WalSync:
    """Writes a file's pages out of the kernel's memory to the disk, whenever asked.

    It is no promise of anything: who needs the file on the disk waits for it himself, and waits shorter. What
    goes wrong here he is told as well, for the kernel says it once to each who has the file open.

    Parameters
    ----------
    path : of the file, which is there when first asked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sync_requested = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def request_sync(self) -> None:
        """Let what was written until now be brought to the disk; don't wait for it."""
        if self._thread.ident is None:
            self._thread.start()
        self._sync_requested.set()

    def close(self) -> None:
        """Let go of the file."""
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
