"""The store, a SQLite file: state and last incident of each group, mutes, outbox, Sparkplug births."""

import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from monitor.core.messages import OutboundMessage
from monitor.groups.mutes import Mutes
from monitor.storage.births_table import load_births, save_births
from monitor.storage.connection import READ_ERRORS, connect, limit_work, unlimit_work
from monitor.storage.outbox import Outbox
from monitor.storage.schema import create_tables, find_wrong_content, find_wrong_schema
from monitor.storage.store_files import log_file, total_size
from monitor.storage.unusable_rows import IsOwnMessage, UnusableRows, delete_unusable_rows
from monitor.storage.wal_sync import WalSync

__all__ = ["Store"]

# With 100,000 groups this is four times as fast as REPLACE, which deletes the row and inserts a new row.
_UPSERT_GROUP = """
INSERT INTO groups VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, heard = excluded.heard
"""
_UPSERT_INCIDENT = (
    "INSERT INTO incidents VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_DELETE_GROUP = ("DELETE FROM groups WHERE name = ?", "DELETE FROM incidents WHERE name = ?")
# Size of the write-ahead log in bytes at which SQLite copies it into the database file (a checkpoint).
# Judging stops during a checkpoint. At 1,000 readings/s with one alert each, this happens every 0.7 s.
_WAL_CHECKPOINT_BYTES = 8 << 20
# Before a checkpoint SQLite syncs the whole log, which takes 6 ms and delays 1 % of the readings. `WalSync`
# therefore syncs the log after every 128 changed rows (about 128 pages), which shortens the wait at the
# checkpoint to 1 ms.
_ROWS_PER_WAL_SYNC = 128
# SQLite allows at most 32,766 values in one statement.
_MAX_NAMES_PER_QUERY = 1000


class Store:
    """The SQLite file, locked by this process.

    In WAL mode a committed transaction is kept when the process is killed at any time. Whether it is also
    kept after a power loss depends on `sync`.

    Parameters
    ----------
    path : the file; created if it does not exist.
    sync : "normal": a power loss may undo the last commits. "full": each commit waits for the disk.

    Raises
    ------
    sqlite3.Error, UnicodeDecodeError : the file is not a store, is damaged, is in use, or can't be written.
    """

    def __init__(self, path: Path, sync: Literal["normal", "full"] = "normal") -> None:
        self._database = connect(path)
        limit_work(self._database, total_size(path))  # until `trust`
        self._execute = self._database.execute
        try:
            # Set before the first access: SQLite then holds the lock until `close`, and needs no shared
            # memory.
            self._execute("PRAGMA locking_mode = EXCLUSIVE")
            self._execute("PRAGMA journal_mode = WAL")
            page_size = self._fetch_value("PRAGMA page_size")
            self._execute(f"PRAGMA wal_autocheckpoint = {_WAL_CHECKPOINT_BYTES // page_size}")
            self._execute(f"PRAGMA synchronous = {sync.upper()}")
            self._execute("BEGIN IMMEDIATE")
            self._execute("ROLLBACK")
        except READ_ERRORS:
            self._database.close()
            raise
        # `WalSync` opens the log a second time, but never the database file: closing any descriptor of that
        # file would release SQLite's POSIX lock on it.
        self._wal_sync = WalSync(log_file(path))
        self._synced_changes = 0  # `total_changes` at the last request to sync the log

    @property
    def is_new(self) -> bool:
        """Whether the file has no tables yet."""
        return self.schema_version == 0 and not self._fetch_value("SELECT count(*) FROM sqlite_master")

    @property
    def schema_version(self) -> int:
        """The schema version of the file; 0 if it has no tables."""
        return int(self._fetch_value("PRAGMA user_version"))

    def find_damage(self) -> str:
        """Return the first problem of a file with the right version; "" if there is none.

        Reads the whole file, which takes 0.6 s with 100,000 groups.

        Raises
        ------
        sqlite3.Error : the file can't be read, or has no end.
        """
        # The schema first: `quick_check` evaluates its constraints, which may be anything.
        if problem := find_wrong_schema(self._database):
            return problem
        problem = str(self._fetch_value("PRAGMA quick_check(1)"))
        return find_wrong_content(self._database) if problem == "ok" else problem

    def trust(self) -> None:
        """End the limit on the work of a query, after `find_damage` found none."""
        unlimit_work(self._database)

    def delete_unusable_rows(self, is_own_message: IsOwnMessage) -> list[UnusableRows]:
        """Delete rows that no monitor can have written, such as foreign messages; return what they were.

        Raises
        ------
        sqlite3.Error : the file can't be read or written.
        """
        self._execute("BEGIN")
        try:
            deleted = delete_unusable_rows(self._database, is_own_message)
            self._execute("COMMIT")
        except sqlite3.Error:
            self._roll_back()
            raise
        return deleted

    @property
    def shape(self) -> tuple[list[str], int]:
        """Feature names and number of steps of the stored windows."""
        features, steps = self._execute("SELECT features, steps FROM shape").fetchone()
        return features.split("\n"), steps

    def create(self, features: Sequence[str], steps: int) -> None:
        """Create the tables for windows of this shape."""
        self._execute("BEGIN")
        try:
            create_tables(self._database)
            self._execute("INSERT INTO shape VALUES (?, ?)", ("\n".join(features), steps))
            self._execute("COMMIT")
        except sqlite3.Error:
            self._roll_back()
            raise

    def load_groups(self, limit: int, now: float = math.inf) -> Iterator[tuple[str, bytes]]:
        """Yield (name, state) of the `limit` most recently saved groups, the latest at the end.

        Parameters
        ----------
        now : Unix seconds. Groups that were saved later count as saved first: that was before the clock was
            set back.
        """
        # One row at a time: a value may have up to 16 MiB, and of 100,000 groups there is no room for that.
        recent = "SELECT name FROM groups ORDER BY heard > ?, heard DESC LIMIT ?"
        names = [name for (name,) in self._execute(recent, (now, limit))]
        for name in reversed(names):
            yield from self._execute("SELECT name, value FROM groups WHERE name = ?", (name,))

    def fetch_groups(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return name -> state of the given groups; groups that are not in the store are left out."""
        found: dict[str, bytes] = {}
        for begin in range(0, len(names), _MAX_NAMES_PER_QUERY):
            chunk = names[begin : begin + _MAX_NAMES_PER_QUERY]
            placeholders = ",".join("?" * len(chunk))
            found.update(
                self._execute(f"SELECT name, value FROM groups WHERE name IN ({placeholders})", chunk)  # noqa: S608
            )
        return found

    def group_names(self, first: str, limit: int) -> list[str]:
        """Return the names of the next `limit` stored groups in order of name.

        Parameters
        ----------
        first : the first name that may be returned; there may be no such group.
        """
        rows = self._execute("SELECT name FROM groups WHERE name >= ? ORDER BY name LIMIT ?", (first, limit))
        return [name for (name,) in rows]

    def saved_times(self, after: str, limit: int) -> list[tuple[str, float]]:
        """Return (name, time of the last save in Unix seconds) of the next `limit` groups in order of name.

        Parameters
        ----------
        after : name of the last group of the previous call; "": the first groups are returned.
        """
        rows = self._execute(
            "SELECT name, heard FROM groups WHERE name > ? ORDER BY name LIMIT ?", (after, limit)
        )
        return rows.fetchall()

    def count_groups(self) -> int:
        """Return the number of groups in the store."""
        return int(self._fetch_value("SELECT count(*) FROM groups"))

    def trim_groups(self, limit: int, now: float = math.inf) -> int:
        """Delete the least recently saved groups above `limit` and their incidents; return the number.

        Parameters
        ----------
        now : as for `load_groups`.
        """
        excess = max(0, self.count_groups() - limit)
        if excess:
            self._execute(
                "DELETE FROM groups WHERE name IN "
                "(SELECT name FROM groups ORDER BY heard > ? DESC, heard LIMIT ?)",
                (now, excess),
            )
            self._execute("DELETE FROM incidents WHERE name NOT IN (SELECT name FROM groups)")
        return excess

    def fetch_incident(self, name: str) -> bytes | None:
        """Return a group's last closed incident; None if there is none.

        Raises
        ------
        ValueError : the incident can't be read.
        """
        try:
            rows = self._execute("SELECT value FROM incidents WHERE name = ?", (name,)).fetchall()
        except sqlite3.Error as error:
            raise ValueError(f"latest incident of {name!r} can't be read: {error}") from error
        return rows[0][0] if rows else None

    def load_outbox(self) -> Outbox:
        """Return an outbox that contains the stored, unconfirmed messages."""
        rows = self._execute("SELECT * FROM outbox ORDER BY number")
        return Outbox(
            (number, OutboundMessage(topic, payload, bool(retain), bundle, bool(whole)))
            for number, topic, payload, retain, bundle, whole in rows
        )

    def load_filters(self) -> list[str]:
        """Return the saved topic filters: the broker may still have subscriptions to them in the session."""
        return [row[0] for row in self._execute("SELECT filter FROM filters")]

    def add_filters(self, filters: Iterable[str]) -> None:
        """Save the topic filters that the session subscribes to, in addition to the saved filters."""
        self._database.executemany("INSERT OR IGNORE INTO filters VALUES (?)", [(text,) for text in filters])

    def load_births(self) -> dict[str, bytes]:
        """Return what `save` stored of Sparkplug edge nodes, by the edge node."""
        return load_births(self._database)

    def load_mutes(self, *, wall: float, now: float, longest: float = math.inf) -> Mutes:
        """Return the saved mutes.

        Parameters
        ----------
        wall : seconds since the Unix epoch.
        now : monotonic seconds, read at the same time.
        longest : seconds that a mute may last.
        """
        rows = self._execute("SELECT pattern, until, length FROM mutes ORDER BY until")
        return Mutes(rows, wall=wall, now=now, longest=longest)

    def save(
        self,
        groups: Iterable[tuple[str, bytes]],
        outbox: Outbox,
        now: float,
        mutes: Mutes | None = None,
        incidents: Iterable[tuple[str, bytes]] = (),
        deleted: Iterable[str] = (),
        births: Mapping[str, bytes] | None = None,
    ) -> None:
        """Write all changes in one transaction; after an error none of them is written.

        Parameters
        ----------
        groups : (name, state) of the changed groups.
        outbox : its `unsaved_messages` are inserted, its `removed_numbers` deleted, and its `mark_saved`
            called.
        now : time to write to `groups.heard`, Unix seconds.
        mutes : if `dirty`, they replace the saved mutes; `mark_saved` is called. None: nothing to save.
        incidents : (group name, encoded last closed incident) for each incident to save.
        deleted : groups to delete with their incidents, before `groups` are written.
        births : as `DecodedMessages.births`.

        Raises
        ------
        sqlite3.OperationalError : the disk is full or can't be written.
        """
        executemany = self._database.executemany
        try:
            self._execute("BEGIN")
            for statement in _DELETE_GROUP:
                executemany(statement, [(name,) for name in deleted])
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
            save_births(self._database, births or {})
            if mutes is not None and mutes.dirty:
                self._execute("DELETE FROM mutes")
                executemany("INSERT INTO mutes VALUES (?, ?, ?)", mutes.stored_entries())
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
        """Close the file and release its lock."""
        self._wal_sync.close()
        with suppress(sqlite3.Error):  # everything is committed already
            self._database.close()

    def _fetch_value(self, query: str) -> Any:
        return self._execute(query).fetchone()[0]

    def _roll_back(self) -> None:
        if self._database.in_transaction:  # after some errors SQLite itself has rolled back
            with suppress(sqlite3.Error):
                self._execute("ROLLBACK")
