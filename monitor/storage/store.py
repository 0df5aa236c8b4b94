"""What must outlive the process: each group's state, its last incident and the outbox, in one SQLite file."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Literal

from monitor.core.messages import OutboundMessage
from monitor.groups.mutes import Mutes
from monitor.storage.outbox import Outbox
from monitor.storage.wal_sync import WalSync

__all__ = ["SCHEMA_VERSION", "Store", "is_foreign"]

SCHEMA_VERSION = 6
"""Version of the tables and of what the values in them hold, in the file's `user_version`."""

# `heard` is when a group's row was last written, Unix seconds: the least recently heard go first. An incident
# is in the group's row until it is over; of those that are, each group's last one is in `collect_incidents`.
_TABLES = """
CREATE TABLE shape (features TEXT NOT NULL, steps INTEGER NOT NULL);
CREATE TABLE filters (filter TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE groups (name TEXT PRIMARY KEY, value BLOB NOT NULL, heard REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE incidents (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE mutes (pattern TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE outbox (number INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, retain INTEGER NOT NULL,
    bundle TEXT NOT NULL, whole INTEGER NOT NULL);
"""  # noqa: E501
# Four times as fast as REPLACE among 100,000 groups: that one deletes the row and inserts it elsewhere.
_UPSERT_GROUP = """
INSERT INTO groups VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, heard = excluded.heard
"""
_UPSERT_INCIDENT = (
    "INSERT INTO incidents VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
# The log is brought into the file once it is so large, in bytes, and meanwhile nothing is judged. At 1,000
# readings/s, each an alert, that is every 0.7 s.
_WAL_CHECKPOINT_BYTES = 8 << 20
# SQLite first waits for all of the log to be on the disk, 6 ms and one reading in a hundred. So the log is
# sent there ahead, each time that so many rows were written: about as many pages. 1 ms is left to wait.
_ROWS_PER_WAL_SYNC = 128
# SQLite takes at most 32,766 values in one statement.
_MAX_NAMES_PER_QUERY = 1000
# Statements that are kept ready, in place of 128: a dozen come again and again, but one that asks for 200
# groups is another than one that asks for 201, and each takes tens of kB.
_CACHED_STATEMENTS = 16
# What each file of SQLite begins with.
_SQLITE_HEADER = b"SQLite format 3\0"


def is_foreign(path: Path) -> bool:
    """Say whether a file was never a store, nor the beginning of one. It stays as it is.

    Raises
    ------
    OSError : it can't be read.
    """
    with path.open("rb") as file:
        header = file.read(len(_SQLITE_HEADER))
    if not _SQLITE_HEADER.startswith(header):
        return any(header)  # a power cut may leave nothing but zeros
    try:
        # All tables come with one transaction. While they are in the log alone, no table is seen here.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as database:
            names = [name for (name,) in database.execute("SELECT name FROM sqlite_master")]
    except sqlite3.Error:
        return False  # damaged
    return bool(names) and "shape" not in names


class Store:
    """The file, open for this process alone.

    In WAL mode a transaction outlives the death of the process at any instant. What it needs to outlive a
    power cut as well is `sync`.

    Parameters
    ----------
    path : of the file; made where there is none.
    sync : "normal" leaves the last moments before a power cut to luck; "full" waits for the disk at each
        commit.

    Raises
    ------
    sqlite3.Error : the file is no such store, is damaged, is in use, or can't be written.
    """

    def __init__(self, path: Path, sync: Literal["normal", "full"] = "normal") -> None:
        # No waiting for a lock: who holds it is another process that keeps it.
        self._database = sqlite3.connect(
            path,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_CACHED_STATEMENTS,
        )
        self._execute = self._database.execute
        try:
            # Before the first access: the lock is then held until the end, and needs no shared memory.
            self._execute("PRAGMA locking_mode = EXCLUSIVE")
            self._execute("PRAGMA journal_mode = WAL")
            self._execute(
                f"PRAGMA wal_autocheckpoint = {_WAL_CHECKPOINT_BYTES // self._fetch_value('PRAGMA page_size')}"
            )
            self._execute(f"PRAGMA synchronous = {sync.upper()}")
            self._execute("BEGIN IMMEDIATE")
            self._execute("ROLLBACK")
        except sqlite3.Error:
            self._database.close()
            raise
        # Of the log, not of the database: closing that one elsewhere would end SQLite's lock.
        self._wal_sync = WalSync(path.with_name(f"{path.name}-wal"))
        self._synced_changes = 0

    @property
    def is_new(self) -> bool:
        """Whether nothing has been written yet."""
        return self.schema_version == 0 and not self._fetch_value("SELECT count(*) FROM sqlite_master")

    @property
    def schema_version(self) -> int:
        """The version of its tables; 0 where there are none."""
        return int(self._fetch_value("PRAGMA user_version"))

    @property
    def damage(self) -> str:
        """What SQLite finds wrong with the file; "" if nothing."""
        result = str(self._fetch_value("PRAGMA quick_check(1)"))
        return "" if result == "ok" else result

    @property
    def shape(self) -> tuple[list[str], int]:
        """The features and the steps of the windows in it."""
        features, steps = self._execute("SELECT features, steps FROM shape").fetchone()
        return features.split("\n"), steps

    def create(self, features: Sequence[str], steps: int) -> None:
        """Make the tables for windows of this shape."""
        self._execute("BEGIN")
        try:
            for statement in _TABLES.split(";\n"):
                self._execute(statement)
            self._execute("INSERT INTO shape VALUES (?, ?)", ("\n".join(features), steps))
            self._execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self._execute("COMMIT")
        except sqlite3.Error:
            self._roll_back()
            raise

    def load_groups(self, limit: int) -> list[tuple[str, bytes]]:
        """Return names and state of the most recently heard groups, those heard last at the end."""
        rows = self._execute("SELECT name, value FROM groups ORDER BY heard DESC LIMIT ?", (limit,))
        return rows.fetchall()[::-1]

    def fetch_groups(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return the state of those of these groups that are in the store."""
        found: dict[str, bytes] = {}
        for begin in range(0, len(names), _MAX_NAMES_PER_QUERY):
            chunk = names[begin : begin + _MAX_NAMES_PER_QUERY]
            placeholders = ",".join("?" * len(chunk))
            found.update(
                self._execute(f"SELECT name, value FROM groups WHERE name IN ({placeholders})", chunk)  # noqa: S608
            )
        return found

    def count_groups(self) -> int:
        """Return how many groups are in the store."""
        return int(self._fetch_value("SELECT count(*) FROM groups"))

    def trim_groups(self, limit: int) -> int:
        """Delete the least recently heard groups beyond so many, incidents and all; return how many."""
        excess = max(0, self.count_groups() - limit)
        if excess:
            self._execute(
                "DELETE FROM groups WHERE name IN (SELECT name FROM groups ORDER BY heard LIMIT ?)", (excess,)
            )
            self._execute("DELETE FROM incidents WHERE name NOT IN (SELECT name FROM groups)")
        return excess

    def fetch_incident(self, name: str) -> bytes | None:
        """Return a group's last incident that is over; None if there is none.

        Raises
        ------
        ValueError : it can't be read.
        """
        try:
            rows = self._execute("SELECT value FROM incidents WHERE name = ?", (name,)).fetchall()
        except sqlite3.Error as error:
            raise ValueError(f"latest incident of {name!r} can't be read: {error}") from error
        return rows[0][0] if rows else None

    def load_outbox(self) -> Outbox:
        """Return the messages that are still to be published."""
        rows = self._execute("SELECT * FROM outbox ORDER BY number")
        return Outbox(
            (number, OutboundMessage(topic, payload, bool(retain), bundle, bool(whole)))
            for number, topic, payload, retain, bundle, whole in rows
        )

    def load_filters(self) -> list[str]:
        """Return the topic filters that the broker may have stored for us."""
        return [row[0] for row in self._execute("SELECT filter FROM filters")]

    def add_filters(self, filters: Iterable[str]) -> None:
        """Remember that these are subscribed."""
        self._database.executemany("INSERT OR IGNORE INTO filters VALUES (?)", [(text,) for text in filters])

    def load_mutes(self) -> Mutes:
        """Return whose alerts are held back."""
        return Mutes(self._execute("SELECT pattern, until FROM mutes ORDER BY until"))

    def save(
        self,
        groups: Iterable[tuple[str, bytes]],
        outbox: Outbox,
        now: float,
        mutes: Mutes | None = None,
        incidents: Iterable[tuple[str, bytes]] = (),
    ) -> None:
        """Write what changed in one transaction: all of it, or on an error nothing.

        Parameters
        ----------
        groups : names and state.
        outbox : what is `unsaved` and what is `gone`; its `mark_saved` is called.
        now : Unix seconds.
        mutes : written whole where they are `unsaved`; their `mark_saved` is called.
        incidents : groups and their last incident that is over.

        Raises
        ------
        sqlite3.OperationalError : the disk is full, or doesn't take it for another reason.
        """
        executemany = self._database.executemany
        try:
            self._execute("BEGIN")
            executemany(_UPSERT_GROUP, ((name, value, now) for name, value in groups))
            executemany(
                "DELETE FROM outbox WHERE number = ?", [(number,) for number in outbox.removed_numbers]
            )
            executemany(
                "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (number, m.topic, m.payload, m.retain, m.bundle_id, m.is_full_topic)
                    for number, m in outbox.unsaved_messages.items()
                ],
            )
            executemany(_UPSERT_INCIDENT, incidents)
            if mutes is not None and mutes.dirty:
                self._execute("DELETE FROM mutes")
                executemany("INSERT INTO mutes VALUES (?, ?)", mutes.entries())
            self._execute("COMMIT")
        except sqlite3.Error:
            self._roll_back()
            raise
        if self._database.total_changes >= self._synced_changes + _ROWS_PER_WAL_SYNC:
            self._synced_changes = self._database.total_changes
            self._wal_sync.request_sync()
        outbox.mark_saved()
        if mutes is not None:
            mutes.mark_saved()

    def close(self) -> None:
        """Give the file back to others."""
        self._wal_sync.close()
        with suppress(sqlite3.Error):  # all that counts is committed
            self._database.close()

    def _fetch_value(self, query: str) -> Any:
        return self._execute(query).fetchone()[0]

    def _roll_back(self) -> None:
        if self._database.in_transaction:  # after some errors SQLite has done so itself
            with suppress(sqlite3.Error):
                self._execute("ROLLBACK")
