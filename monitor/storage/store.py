"""What must outlive the process: each group's state, its last incident and the outbox, in one SQLite file."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Literal

from monitor.core.messages import Outgoing
from monitor.groups.mutes import Mutes
from monitor.storage.outbox import Outbox
from monitor.storage.wal_sync import LogSync

__all__ = ["SCHEMA", "Store", "is_foreign"]

SCHEMA = 5
"""Version of the tables and of what the values in them hold, in the file's `user_version`."""

# `heard` is when a group's row was last written, Unix seconds: the least recently heard go first. An incident
# is in the group's row until it is over; of those that are, each group's last one is in `incidents`.
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
_KEEP = """
INSERT INTO groups VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, heard = excluded.heard
"""
_KEEP_INCIDENT = "INSERT INTO incidents VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
# The log is brought into the file once it is so large, in bytes, and meanwhile nothing is judged. At 1,000
# readings/s, each an alert, that is every 0.7 s.
_LOG = 8 << 20
# SQLite first waits for all of the log to be on the disk, 6 ms and one reading in a hundred. So the log is
# sent there ahead, each time that so many rows were written: about as many pages. 1 ms is left to wait.
_AHEAD = 128
# SQLite takes at most 32,766 values in one statement.
_MOST_NAMES = 1000
# Statements that are kept ready, in place of 128: a dozen come again and again, but one that asks for 200
# groups is another than one that asks for 201, and each takes tens of kB.
_STATEMENTS = 16
# What each file of SQLite begins with.
_HEADER = b"SQLite format 3\0"


def is_foreign(path: Path) -> bool:
    """Say whether a file was never a store, nor the beginning of one. It stays as it is.

    Raises
    ------
    OSError : it can't be read.
    """
    with path.open("rb") as file:
        head = file.read(len(_HEADER))
    if not _HEADER.startswith(head):
        return any(head)  # a power cut may leave nothing but zeros
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
            path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS
        )
        self._ask = self._database.execute
        try:
            # Before the first access: the lock is then held until the end, and needs no shared memory.
            self._ask("PRAGMA locking_mode = EXCLUSIVE")
            self._ask("PRAGMA journal_mode = WAL")
            self._ask(f"PRAGMA wal_autocheckpoint = {_LOG // self._one('PRAGMA page_size')}")
            self._ask(f"PRAGMA synchronous = {sync.upper()}")
            self._ask("BEGIN IMMEDIATE")
            self._ask("ROLLBACK")
        except sqlite3.Error:
            self._database.close()
            raise
        # Of the log, not of the database: closing that one elsewhere would end SQLite's lock.
        self._log = LogSync(path.with_name(f"{path.name}-wal"))
        self._sent_ahead = 0

    @property
    def is_new(self) -> bool:
        """Whether nothing has been written yet."""
        return self.schema == 0 and not self._one("SELECT count(*) FROM sqlite_master")

    @property
    def schema(self) -> int:
        """The version of its tables; 0 where there are none."""
        return int(self._one("PRAGMA user_version"))

    @property
    def damage(self) -> str:
        """What SQLite finds wrong with the file; "" if nothing."""
        found = str(self._one("PRAGMA quick_check(1)"))
        return "" if found == "ok" else found

    @property
    def shape(self) -> tuple[list[str], int]:
        """The features and the steps of the windows in it."""
        features, steps = self._ask("SELECT features, steps FROM shape").fetchone()
        return features.split("\n"), steps

    def create(self, features: Sequence[str], steps: int) -> None:
        """Make the tables for windows of this shape."""
        self._ask("BEGIN")
        try:
            for statement in _TABLES.split(";\n"):
                self._ask(statement)
            self._ask("INSERT INTO shape VALUES (?, ?)", ("\n".join(features), steps))
            self._ask(f"PRAGMA user_version = {SCHEMA}")
            self._ask("COMMIT")
        except sqlite3.Error:
            self._roll_back()
            raise

    def groups(self, most: int) -> list[tuple[str, bytes]]:
        """Return names and state of the most recently heard groups, those heard last at the end."""
        rows = self._ask("SELECT name, value FROM groups ORDER BY heard DESC LIMIT ?", (most,))
        return rows.fetchall()[::-1]

    def fetch(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return the state of those of these groups that are in the store."""
        found: dict[str, bytes] = {}
        for begin in range(0, len(names), _MOST_NAMES):
            part = names[begin : begin + _MOST_NAMES]
            marks = ",".join("?" * len(part))
            found.update(self._ask(f"SELECT name, value FROM groups WHERE name IN ({marks})", part))  # noqa: S608, marks only
        return found

    def count(self) -> int:
        """Return how many groups are in the store."""
        return int(self._one("SELECT count(*) FROM groups"))

    def trim(self, most: int) -> int:
        """Delete the least recently heard groups beyond so many, incidents and all; return how many."""
        excess = max(0, self.count() - most)
        if excess:
            self._ask(
                "DELETE FROM groups WHERE name IN (SELECT name FROM groups ORDER BY heard LIMIT ?)", (excess,)
            )
            self._ask("DELETE FROM incidents WHERE name NOT IN (SELECT name FROM groups)")
        return excess

    def incident(self, name: str) -> bytes | None:
        """Return a group's last incident that is over; None if there is none.

        Raises
        ------
        ValueError : it can't be read.
        """
        try:
            rows = self._ask("SELECT value FROM incidents WHERE name = ?", (name,)).fetchall()
        except sqlite3.Error as error:
            raise ValueError(f"latest incident of {name!r} can't be read: {error}") from error
        return rows[0][0] if rows else None

    def outbox(self) -> Outbox:
        """Return the messages that are still to be published."""
        rows = self._ask("SELECT * FROM outbox ORDER BY number")
        return Outbox(
            (number, Outgoing(topic, payload, bool(retain), bundle, bool(whole)))
            for number, topic, payload, retain, bundle, whole in rows
        )

    def filters(self) -> list[str]:
        """Return the topic filters that the broker may have stored for us."""
        return [row[0] for row in self._ask("SELECT filter FROM filters")]

    def add_filters(self, filters: Iterable[str]) -> None:
        """Remember that these are subscribed."""
        self._database.executemany("INSERT OR IGNORE INTO filters VALUES (?)", [(text,) for text in filters])

    def mutes(self) -> Mutes:
        """Return whose alerts are held back."""
        return Mutes(self._ask("SELECT pattern, until FROM mutes ORDER BY until"))

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
        outbox : what is `unsaved` and what is `gone`; its `saved` is called.
        now : Unix seconds.
        mutes : written whole where they are `unsaved`; their `saved` is called.
        incidents : groups and their last incident that is over.

        Raises
        ------
        sqlite3.OperationalError : the disk is full, or doesn't take it for another reason.
        """
        many = self._database.executemany
        try:
            self._ask("BEGIN")
            many(_KEEP, ((name, value, now) for name, value in groups))
            many("DELETE FROM outbox WHERE number = ?", [(number,) for number in outbox.gone])
            many(
                "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (number, m.topic, m.payload, m.retain, m.bundle, m.whole)
                    for number, m in outbox.unsaved.items()
                ],
            )
            many(_KEEP_INCIDENT, incidents)
            if mutes is not None and mutes.unsaved:
                self._ask("DELETE FROM mutes")
                many("INSERT INTO mutes VALUES (?, ?)", mutes.lines())
            self._ask("COMMIT")
        except sqlite3.Error:
            self._roll_back()
            raise
        if self._database.total_changes >= self._sent_ahead + _AHEAD:
            self._sent_ahead = self._database.total_changes
            self._log.ask()
        outbox.saved()
        if mutes is not None:
            mutes.saved()

    def close(self) -> None:
        """Give the file back to others."""
        self._log.close()
        with suppress(sqlite3.Error):  # all that counts is committed
            self._database.close()

    def _one(self, question: str) -> Any:
        return self._ask(question).fetchone()[0]

    def _roll_back(self) -> None:
        if self._database.in_transaction:  # after some errors SQLite has done so itself
            with suppress(sqlite3.Error):
                self._ask("ROLLBACK")
