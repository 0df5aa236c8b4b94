"""Connections to SQLite files that somebody may have damaged, or made in order to stop the monitor."""

import sqlite3
from pathlib import Path

__all__ = ["MAX_VALUE_BYTES", "READ_ERRORS", "connect", "limit_work", "unlimit_work"]

READ_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What reading a file may raise: an error's message may quote bytes of the file that aren't UTF-8."""

# Prepared statements to cache; Python's default is 128. Only about a dozen statements recur. Queries with a
# different number of placeholders are different statements and would fill the cache with tens of kB each.
_CACHED_STATEMENTS = 16
MAX_VALUE_BYTES = 16 << 20
"""Longest value of a row: a group takes some kB, a message to publish less."""
# What no statement of a store needs: attached files, triggers within triggers, queries of queries.
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: MAX_VALUE_BYTES,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_COLUMN: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 100,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
# Instructions of SQLite's machine that reading a store may take. A row has at least 10 bytes and takes some
# 30 instructions in each of the queries at a start. Without a limit, pages that refer to each other are read
# for ever. The fixed part takes SQLite about a second.
_FIXED_INSTRUCTIONS = 20_000_000
_INSTRUCTIONS_PER_BYTE = 20
_INSTRUCTIONS_PER_CALL = 100_000


def connect(path: Path | str, *, uri: bool = False) -> sqlite3.Connection:
    """Open a file without trusting its content, in autocommit mode, for use by one thread at a time.

    Raises
    ------
    sqlite3.Error : the file can't be opened.
    """
    # timeout=0: another monitor would hold the lock until it ends, so waiting is useless.
    database = sqlite3.connect(
        path,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_CACHED_STATEMENTS,
        uri=uri,
    )
    database.text_factory = _decode
    for category, limit in _LIMITS.items():
        database.setlimit(category, limit)
    try:
        # No function of a view or an index runs unless it is known to be harmless; each page's cells are
        # checked before they are used.
        database.execute("PRAGMA trusted_schema = OFF")
        database.execute("PRAGMA cell_size_check = ON")
    except sqlite3.Error:
        database.close()
        raise
    return database


def limit_work(database: sqlite3.Connection, size: int) -> None:
    """Let queries end with an error after more work than the files of a store can take.

    The progress handler is Python, so signals are handled meanwhile; SQLite alone lets them wait for its end.

    Parameters
    ----------
    size : bytes of the store's files.
    """
    calls = (_FIXED_INSTRUCTIONS + _INSTRUCTIONS_PER_BYTE * size) // _INSTRUCTIONS_PER_CALL
    remaining = iter(range(calls))
    database.set_progress_handler(lambda: next(remaining, None) is None, _INSTRUCTIONS_PER_CALL)


def unlimit_work(database: sqlite3.Connection) -> None:
    """End what `limit_work` began."""
    database.set_progress_handler(None, 0)


def _decode(text: bytes) -> str | bytes:
    """Return a text of the file; as bytes if it isn't UTF-8, which would otherwise end the query."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text
