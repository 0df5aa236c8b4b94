"""Stores as somebody who wants to end the monitor would leave them: each function changes a sound store."""

import os
import random
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

__all__ = ["ROW_DAMAGE", "STORE_DAMAGE", "Tamper", "add_groups", "flip_bits"]

Tamper = Callable[[Path], object]
"""Changes the store at a path."""

_NEVER_ENDING = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x, x, x FROM c"
_PAGE_TYPES = {"interior index": 2, "interior table": 5, "leaf index": 10, "leaf table": 13}
_FIRST_PAGE_OFFSET = 100
"""Bytes of the file's header, which precedes the first page's own."""


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema = ON")
        yield database


def _execute(*statements: str) -> Tamper:
    def tamper(path: Path) -> None:
        with _open(path) as database:
            for statement in statements:
                database.execute(statement)

    return tamper


def _replace_table(name: str, statement: str) -> Tamper:
    return _execute(f"DROP TABLE {name}", statement)


def _edit_schema(old: str, new: str) -> Tamper:
    """Change the text of the schema: the rows stay as they were written with another."""
    return _execute(f"UPDATE sqlite_schema SET sql = replace(sql, '{old}', '{new}')")  # noqa: S608


def _page_size(content: bytes) -> int:
    size: int = struct.unpack(">H", content[16:18])[0]
    return 65536 if size == 1 else size


def flip_bits(content: bytes, page_type: str, rng: random.Random, count: int = 40) -> bytes:
    """Return the file with some bits flipped in its pages of one type."""
    size = _page_size(content)
    starts = [
        start
        for start in range(0, len(content), size)
        if content[start + (_FIRST_PAGE_OFFSET if start == 0 else 0)] == _PAGE_TYPES[page_type]
    ]
    assert starts, f"the store has no page of the type {page_type}"
    changed = bytearray(content)
    for _ in range(count):
        # Most of what tells lies at a page's beginning: counts, offsets, types.
        start = rng.choice(starts)
        offset = rng.choice([rng.randrange(24), rng.randrange(size)])
        changed[start + offset] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _flip(page_type: str) -> Tamper:
    def tamper(path: Path) -> None:
        if page_type.startswith("interior"):
            add_groups(path, 600)
        path.write_bytes(flip_bits(path.read_bytes(), page_type, random.Random(1)))  # noqa: S311, repeatable

    return tamper


def add_groups(path: Path, count: int) -> None:
    """Copy one group's row under many names, so that the tables take more than a page."""
    with _open(path) as database:
        database.execute(
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ?) INSERT INTO groups "
            "SELECT 'line9/station' || x, (SELECT value FROM groups LIMIT 1), 1.0 FROM c",
            (count,),
        )
        database.execute(
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ?) INSERT INTO outbox "
            "SELECT x + 100, 'alerts/line9', zeroblob(400), 0, 'b', 0 FROM c",
            (count,),
        )
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _truncate(share: float) -> Tamper:
    return lambda path: os.truncate(path, int(path.stat().st_size * share))


def _foreign_log(path: Path) -> None:
    """Put the write-ahead log of another database beside the store."""
    other = path.with_name("other.db")
    with closing(sqlite3.connect(other, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE secrets (x)")
        database.execute("INSERT INTO secrets VALUES (zeroblob(20000))")
        path.with_name(f"{path.name}-wal").write_bytes(other.with_name("other.db-wal").read_bytes())
    other.unlink()


def _pipe(suffix: str) -> Tamper:
    def tamper(path: Path) -> None:
        file = path.with_name(path.name + suffix)
        file.unlink(missing_ok=True)
        os.mkfifo(file)

    return tamper


def _folder(suffix: str) -> Tamper:
    return lambda path: path.with_name(path.name + suffix).mkdir()


def _link(suffix: str) -> Tamper:
    def tamper(path: Path) -> None:
        victim = path.with_name("victim.txt")
        victim.write_text("not to be changed")
        path.with_name(path.name + suffix).symlink_to(victim)

    return tamper


def _journal_of_another(path: Path) -> None:
    """Leave a rollback journal that overwrites the first page, as of a transaction that was cut off."""
    page = _page_size(path.read_bytes())
    header = struct.pack(">8sIIIII", bytes.fromhex("d9d505f920a163d7"), 1, 7, 1, 512, page)
    body = bytes(page)
    checksum = (7 + sum(body[index] for index in range(page - 200, 0, -200))) & 0xFFFFFFFF
    record = struct.pack(">I", 1) + body + struct.pack(">I", checksum)
    path.with_name(f"{path.name}-journal").write_bytes(header.ljust(512, b"\0") + record)


def _page_lists_itself(path: Path) -> None:
    """Let all children of an interior page be one and the same, which is read for ever in deep trees."""
    add_groups(path, 600)
    content = bytearray(path.read_bytes())
    size = _page_size(content)
    for start in range(size, len(content), size):
        if content[start] in (2, 5):
            content[start + 8 : start + 12] = struct.pack(">I", start // size + 1)
            (cells,) = struct.unpack(">H", content[start + 3 : start + 5])
            for cell in range(cells):
                (offset,) = struct.unpack(">H", content[start + 12 + 2 * cell : start + 14 + 2 * cell])
                content[start + offset : start + offset + 4] = struct.pack(">I", start // size + 1)
    path.write_bytes(content)


STORE_DAMAGE: dict[str, Tamper] = {
    **{f"bits flipped, {page_type}": _flip(page_type) for page_type in _PAGE_TYPES},
    "cut to a half": _truncate(0.5),
    "cut to 1,000 bytes": lambda path: os.truncate(path, 1000),
    "a text": lambda path: path.write_bytes(b"SQLite format 3\0" + b"hello" * 2000),
    "zeros": lambda path: path.write_bytes(bytes(20_000)),
    "other version": _execute("PRAGMA user_version = 99"),
    "negative version": _execute("PRAGMA user_version = -5"),
    "no version": _execute("PRAGMA user_version = 0"),
    "view as groups": _replace_table("groups", "CREATE VIEW groups(name, value, heard) AS SELECT 1, 2, 3"),
    "endless view as groups": _replace_table(
        "groups", f"CREATE VIEW groups(name, value, heard) AS {_NEVER_ENDING}"
    ),
    "endless view as shape": _replace_table(
        "shape",
        "CREATE VIEW shape(features, steps) AS WITH RECURSIVE c(x) AS "
        "(SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT 'a', count(*) FROM c",
    ),
    "endless view as filters": _replace_table(
        "filters",
        "CREATE VIEW filters(filter) AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
        "SELECT count(*) FROM c",
    ),
    "trigger on groups": _execute(
        "CREATE TRIGGER t AFTER INSERT ON groups BEGIN DELETE FROM outbox; DELETE FROM mutes; END"
    ),
    "endless trigger": _execute(
        "CREATE TRIGGER t AFTER INSERT ON groups BEGIN INSERT OR IGNORE INTO filters "
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c; END"
    ),
    "refusing trigger": _execute(
        "CREATE TRIGGER t BEFORE INSERT ON groups BEGIN SELECT RAISE(ABORT, 'no'); END"
    ),
    "generated column": _execute("ALTER TABLE groups ADD COLUMN more TEXT AS (hex(zeroblob(900000000)))"),
    "one column more": _execute("ALTER TABLE groups ADD COLUMN more TEXT"),
    "no table groups": _execute("DROP TABLE groups"),
    "no table outbox": _execute("DROP TABLE outbox"),
    "no table mutes": _execute("DROP TABLE mutes"),
    "virtual table": _execute("CREATE VIRTUAL TABLE v USING fts5(x)"),
    "index on an expression": _execute("CREATE INDEX i ON groups(length(value))"),
    "check that refuses": _edit_schema("heard REAL NOT NULL)", "heard REAL NOT NULL, CHECK (heard < 0))"),
    "columns swapped": _edit_schema("name TEXT PRIMARY KEY, value BLOB", "value BLOB, name TEXT PRIMARY KEY"),
    "schema that is no SQL": _edit_schema("CREATE TABLE groups", "CREATE TABLE groups garbage"),
    "collation that nobody has": _edit_schema("name TEXT PRIMARY", "name TEXT COLLATE own PRIMARY"),
    "no shape": _execute("DELETE FROM shape"),
    "shape of numbers": _execute("UPDATE shape SET features = x'ff00', steps = 'three'"),
    "shape twice": _execute("INSERT INTO shape SELECT * FROM shape"),
    "huge steps": _execute("UPDATE shape SET steps = 9223372036854775807"),
    "text as value": _execute("UPDATE groups SET value = 'text'"),
    "huge value": _execute("UPDATE groups SET value = zeroblob(20000000)"),
    "huge payload": _execute("INSERT INTO outbox VALUES (1, 'a', zeroblob(20000000), 0, '', 0)"),
    "text as payload": _execute("INSERT INTO outbox VALUES (1, 'a', 'text', 0, '', 0)"),
    "text as time": _execute("UPDATE groups SET heard = 'never'"),
    "text as retain": _execute("INSERT INTO outbox VALUES (1, 'a', x'00', 'yes', '', 0)"),
    "log of another database": _foreign_log,
    "journal of another database": _journal_of_another,
    "pages that list themselves": _page_lists_itself,
    **{f"pipe as store{suffix}": _pipe(suffix) for suffix in ("-wal", "-journal")},
    **{f"folder as store{suffix}": _folder(suffix) for suffix in ("-wal", "-journal")},
    **{f"link as store{suffix}": _link(suffix) for suffix in ("-wal", "-journal")},
}
"""What makes the whole store unusable."""

_LONG = "printf('%.70000c', 'x')"


def _insert_messages(*values: str) -> Tamper:
    return _execute(*(f"INSERT INTO outbox VALUES ({row})" for row in values))  # noqa: S608


ROW_DAMAGE: dict[str, tuple[str, Tamper]] = {
    "wildcard as topic": ("message", _insert_messages("7, 'alerts/#', x'7b7d', 0, '', 1")),
    "+ as topic": ("message", _insert_messages("7, 'a/+/b', x'7b7d', 0, '', 0")),
    "NUL in topic": ("message", _insert_messages("7, 'a' || char(0) || 'b', x'7b7d', 0, '', 0")),
    "no topic": ("message", _insert_messages("7, '', x'7b7d', 0, '', 1")),
    "long topic": ("message", _insert_messages(f"7, {_LONG}, x'7b7d', 0, '', 1")),
    "info of the monitor": ("message", _insert_messages("7, 'info', x'7b7d', 1, '', 0")),
    "full topic of info": ("message", _insert_messages("7, 'sensor-monitor/info', x'7b7d', 1, '', 1")),
    "request to forget": ("message", _insert_messages("7, 'request/forget', x'7b7d', 0, '', 0")),
    "full topic of a request": (
        "message",
        _insert_messages("7, 'sensor-monitor/request/forget', x'7b7d', 0, '', 1"),
    ),
    "full topic of alerts": ("message", _insert_messages("7, 'sensor-monitor/alerts/x', x'7b7d', 0, '', 1")),
    "reading of a station": ("message", _insert_messages("7, 'plant/a/b/reading', x'7b7d', 0, '', 1")),
    "retained alert": ("message", _insert_messages("7, 'alerts/x', x'7b7d', 1, '', 0")),
    "state that is not retained": ("message", _insert_messages("7, 'state/x', x'7b7d', 0, '', 0")),
    "announcement": (
        "message",
        _insert_messages("7, 'homeassistant/binary_sensor/x-1/config', x'7b7d', 1, '', 1"),
    ),
    "withdrawal of another device": (
        "message",
        _insert_messages("7, 'homeassistant/switch/x-1/config', x'', 1, '', 1"),
    ),
    "reboot of an edge node": (
        "message",
        _insert_messages(
            "7, 'spBv1.0/g/NCMD/e', CAST('Node Control/Reboot' AS BLOB), 0, '', 1",
        ),
    ),
    "NUL in the group of an incident": (
        "incident",
        _execute("INSERT INTO incidents VALUES ('a' || char(0), x'00')"),
    ),
    "largest number": ("message", _insert_messages("9223372036854775807, 'alerts/x', x'7b7d', 0, '', 0")),
    "lowest number": ("message", _insert_messages("-9223372036854775808, 'alerts/x', x'7b7d', 0, '', 0")),
    "endless mute": ("mute", _execute("INSERT INTO mutes VALUES ('x*', 9e999, NULL)")),
    "mute before all time": ("mute", _execute("INSERT INTO mutes VALUES ('x*', -1e300, 1e300)")),
    "mute of endless length": ("mute", _execute("INSERT INTO mutes VALUES ('x*', 5e9, 9e999)")),
    "long pattern": ("mute", _execute(f"INSERT INTO mutes VALUES ({_LONG}, 5e9, 60)")),  # noqa: S608
    "no filter": ("filter", _execute("INSERT INTO filters VALUES ('a/#/b')")),
    "long filter": ("filter", _execute(f"INSERT INTO filters VALUES ({_LONG})")),  # noqa: S608
    "wildcard as group": (
        "group",
        _execute("INSERT INTO groups SELECT 'a/#', value, heard FROM groups LIMIT 1"),
    ),
    "NUL in group": (
        "group",
        _execute("INSERT INTO groups SELECT 'a' || char(0), value, heard FROM groups LIMIT 1"),
    ),
    "group that is no UTF-8": (
        "group",
        _execute("INSERT INTO groups SELECT CAST(x'ff41' AS TEXT), value, heard FROM groups LIMIT 1"),
    ),
    "long group": ("group", _execute(f"INSERT INTO groups SELECT {_LONG}, value, heard FROM groups LIMIT 1")),  # noqa: S608
}
"""What makes single rows unusable: kind of the row, and how to get it."""
