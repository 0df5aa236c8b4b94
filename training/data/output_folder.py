"""Creates and locks the output folder of a command, and writes files into it atomically."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from monitor.core.atomic_write import atomic_file
from monitor.core.errors import InvalidInputError

__all__ = ["create", "exclusive_lock", "write"]


def create(folder: Path) -> None:
    """Create the folder if it does not exist.

    Raises
    ------
    InvalidInputError : the path is a file, or the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(
            f"{folder}: can't be made: {error.strerror}; expected a folder to write to"
        ) from error


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes. The lock is released if the process ends, also if it is killed.

    Raises
    ------
    InvalidInputError : another process has the lock.
    """
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise InvalidInputError(
            f"{folder}: another process is writing there; expected one at a time, or another --out"
        ) from error
    finally:
        os.close(lock)


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files (name -> content) into the folder. A file of the same name is replaced atomically."""
    for name, content in files.items():
        with atomic_file(folder / name) as temporary_path:
            temporary_path.write_bytes(content)
