"""Notices files that are written where they don't belong."""

import os
import sys
from pathlib import Path
from typing import Any

__all__ = ["FileWatch"]

_WRITING_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Audit events whose first argument, or first two, are paths that are changed.
_PATH_COUNTS = {
    "os.mkdir": 1,
    "os.rmdir": 1,
    "os.remove": 1,
    "os.truncate": 1,
    "os.chmod": 1,
    "os.chown": 1,
    "os.rename": 2,
    "os.link": 2,
    "os.symlink": 2,
}


class FileWatch:
    """Watches what this process writes, and what others write into a folder.

    Python's audit events tell of each file that Python code opens or changes, anywhere. The listing shows
    also what a library in C wrote below `outer`, which the working directory, HOME and TMPDIR should be in.

    Parameters
    ----------
    outer : everything in it is listed.
    allowed : below it, what the target itself needs may be written.
    """

    def __init__(self, outer: Path, allowed: Path) -> None:
        self._outer = outer
        self._allowed = allowed.resolve()
        self._violations: list[str] = []
        self._is_enabled = False
        sys.addaudithook(self._audit)  # it can't be removed

    def start(self) -> None:
        """Begin to watch: what was there before belongs there."""
        self._known = self._list()
        self._is_enabled = True

    def stop(self) -> None:
        """Stop watching, and check as `check` does, and the listing too."""
        self._is_enabled = False
        self.check()
        changed = self._list() ^ self._known
        assert not changed, f"files that came, went or changed: {sorted(changed)[:5]}"

    def check(self) -> None:
        """Fail if a file was written where it doesn't belong."""
        assert not self._violations, self._violations

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_enabled:
            return
        if event == "open":
            path, mode, flags = arguments
            if isinstance(flags, int) and flags & _WRITING_FLAGS:
                self._note(f"{event} {mode}", path)
        elif event in _PATH_COUNTS:
            for path in arguments[: _PATH_COUNTS[event]]:
                self._note(event, path)

    def _note(self, event: str, path: Any) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            found = Path(os.fsdecode(path)).absolute()
            if not found.is_relative_to(self._allowed) and found != Path(os.devnull):
                self._violations.append(f"{event}: {found}")

    def _list(self) -> set[tuple[str, int, int]]:
        """Return path, size and time of change of each file in `outer` that isn't below `allowed`."""
        found = set()
        for path in self._outer.rglob("*"):
            if path.is_dir() or path.resolve().is_relative_to(self._allowed):
                continue
            status = path.lstat()
            found.add((str(path), status.st_size, status.st_mtime_ns))
        return found
