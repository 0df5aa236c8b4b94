"""The files of a store: SQLite's database file, and those that SQLite keeps beside it."""

import os
import stat
import time
from contextlib import closing, suppress
from pathlib import Path

from monitor.core.private_files import open_private
from monitor.storage.connection import READ_ERRORS, connect, limit_work
from monitor.storage.schema import TABLE_NAMES

__all__ = ["create_file", "find_wrong_companion", "is_foreign", "log_file", "rename_aside", "total_size"]

_SQLITE_HEADER = b"SQLite format 3\0"
_MAX_PAGE_BYTES = 65536
_JOURNAL = "-journal"
_COMPANIONS = ("-wal", "-shm", _JOURNAL)


def log_file(path: Path) -> Path:
    """Return the write-ahead log of the store at `path`, which SQLite keeps beside the file itself."""
    return _companion(path.resolve(), "-wal")


def total_size(path: Path) -> int:
    """Return the size of a store with its log, in bytes."""
    size = 0
    for file in (path, log_file(path)):
        with suppress(OSError):
            size += file.stat().st_size
    return size


def create_file(path: Path) -> None:
    """Create an empty store that only its owner can read, unless there is one; SQLite's own files follow it.

    Raises
    ------
    OSError : the file can't be created.
    """
    with suppress(FileExistsError):
        os.close(open_private(path.resolve(), os.O_CREAT | os.O_EXCL | os.O_RDWR))


def is_foreign(path: Path) -> bool:
    """Return True if the file is certainly not a store; a damaged or incomplete store returns False.

    Does not modify the file.

    Raises
    ------
    OSError : the file can't be read.
    """
    with path.open("rb") as file:
        beginning = file.read(_MAX_PAGE_BYTES)
    header = beginning[: len(_SQLITE_HEADER)]
    if any(f"CREATE TABLE {name} ".encode() in beginning for name in TABLE_NAMES):
        return False  # the definitions are on the first page, whatever else is damaged there
    if not _SQLITE_HEADER.startswith(header):
        return any(header)  # a power loss may fill a new store with zeros: such a file is not foreign
    try:
        # `immutable` ignores the log. All tables are created in one transaction: while that is only in the
        # log, this query returns no tables.
        with closing(connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as database:
            limit_work(database, path.stat().st_size)
            names = [name for (name,) in database.execute("SELECT name FROM sqlite_master LIMIT 1000")]
    except READ_ERRORS:
        return False  # damaged
    return bool(names) and TABLE_NAMES.isdisjoint(names)


def find_wrong_companion(path: Path) -> str:
    """Return what is wrong with the files that SQLite would use beside an existing store; "" if nothing is.

    SQLite follows links, waits for pipes, and believes a rollback journal, which may overwrite any page and
    names a file to delete. A store has a write-ahead log in the place of a journal.
    """
    for suffix in _COMPANIONS:
        file = _companion(path.resolve(), suffix)
        with suppress(FileNotFoundError):
            mode = file.lstat().st_mode
            if not stat.S_ISREG(mode):
                return f"{file.name} is no file"
            if suffix == _JOURNAL:
                return f"{file.name} is there, which no monitor leaves"
    return ""


def rename_aside(path: Path) -> Path:
    """Rename the files of a store; return the new path of the store itself.

    Raises
    ------
    OSError : a file can't be renamed.
    """
    timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    number = 0
    while os.path.lexists(
        new_path := path.with_name(f"{path.name}.{timestamp}{f'-{number}' if number else ''}")
    ):
        number += 1
    for suffix in ("", *_COMPANIONS):
        with suppress(FileNotFoundError):
            _companion(path, suffix).rename(_companion(new_path, suffix))
    return new_path


def _companion(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
