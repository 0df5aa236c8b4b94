"""The store's tables, and what shows that a file has others."""

import sqlite3
from contextlib import closing

from monitor.storage.births_table import CREATE_BIRTHS
from monitor.storage.connection import MAX_VALUE_BYTES

__all__ = ["SCHEMA_VERSION", "TABLE_NAMES", "create_tables", "find_wrong_content", "find_wrong_schema"]

SCHEMA_VERSION = 7
"""Version of the tables and of the format of their BLOB values; stored in the file's `user_version`."""

# groups.heard: time at which the row was last written, Unix seconds; the rows with the smallest time are
# deleted first. groups.value contains an open incident; the table `incidents` has each group's last closed
# incident. mutes.length: seconds. outbox.whole: 1 if `topic` is the full topic, 0 if it is relative to
# `base_topic`.
_CREATE_OUTBOX = (
    "CREATE TABLE outbox (number INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, "
    "retain INTEGER NOT NULL, bundle TEXT NOT NULL, whole INTEGER NOT NULL)"
)
_CREATE = (
    "CREATE TABLE shape (features TEXT NOT NULL, steps INTEGER NOT NULL)",
    "CREATE TABLE filters (filter TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE groups (name TEXT PRIMARY KEY, value BLOB NOT NULL, heard REAL NOT NULL) WITHOUT ROWID",
    "CREATE TABLE incidents (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE mutes (pattern TEXT PRIMARY KEY, until REAL NOT NULL, length REAL) WITHOUT ROWID",
    _CREATE_OUTBOX,
    CREATE_BIRTHS,
)
TABLE_NAMES = frozenset(statement.split()[2] for statement in _CREATE)
"""Names of the tables."""

# Rows that a table may have; groups and their incidents are bounded by `Store.trim_groups`. All others are
# read into memory at once. The monitor itself keeps 100 mutes and stops taking readings at 20,000 messages,
# to which one request to forget 100,000 groups adds two each.
_MAX_ROWS = {"shape": 1, "filters": 10_000, "mutes": 1_000, "outbox": 500_000, "births": 100_000}
_MAX_OUTBOX_BYTES = 256 << 20


def create_tables(database: sqlite3.Connection) -> None:
    """Create the tables within a transaction."""
    for statement in _CREATE:
        database.execute(statement)
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def find_wrong_schema(database: sqlite3.Connection) -> str:
    """Return how the schema of a file with the right version differs from that of a store; "" if it doesn't.

    The text of each definition must be the very same. So a file can't have a view in the place of a table,
    which may have rows without end, nor a trigger, which would run with each write, nor a generated column.
    """
    (encoding,) = database.execute("PRAGMA encoding").fetchone()
    if encoding != "UTF-8":
        return f"its texts are {encoding}"
    with closing(sqlite3.connect(":memory:")) as expected_database:
        create_tables(expected_database)
        expected = _read_definitions(expected_database)
    found = _read_definitions(database)
    if found == expected:
        return ""
    names = sorted(str(definition[1]) for definition in found ^ expected)
    return f"its definition of {names[0][:100]!r} is none of a monitor's"


def _read_definitions(database: sqlite3.Connection) -> set[tuple[object, ...]]:
    """Return (type, name, name of the table, SQL) of all that a schema defines."""
    # A schema of a monitor has 7 rows; a tampered one may have millions.
    rows = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 100")
    return set(rows.fetchall())


def find_wrong_content(database: sqlite3.Connection) -> str:
    """Return what is wrong with the rows of a file with the right schema; "" if nothing is.

    SQLite keeps a text in a column of numbers if a text was written. Checking 100,000 groups takes 0.1 s.
    """
    for table in sorted(TABLE_NAMES):
        wrong = _wrong_value_condition(database, table)
        if database.execute(f"SELECT 1 FROM {table} WHERE {wrong} LIMIT 1").fetchone():  # noqa: S608
            return f"a row of {table!r} has a value of another type, or one that is too long"
    for table, limit in _MAX_ROWS.items():
        query = f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {limit + 1})"  # noqa: S608
        if database.execute(query).fetchone()[0] > limit:
            return f"{table!r} has more than {limit} rows"
    (size,) = database.execute("SELECT total(length(payload) + length(topic)) FROM outbox").fetchone()
    if size > _MAX_OUTBOX_BYTES:
        return f"the messages of 'outbox' take more than {_MAX_OUTBOX_BYTES >> 20} MiB"
    features, steps = database.execute("SELECT features, steps FROM shape").fetchone() or (b"", 0)
    return "" if isinstance(features, str) and steps > 0 else "'shape' is none of windows"


def _wrong_value_condition(database: sqlite3.Connection, table: str) -> str:
    """Return SQL that is true for a row with a value of another type than its column's, or too long."""
    conditions = []
    for _, name, declared, not_null, _, key in database.execute(f"PRAGMA table_info({table})"):
        allowed = f"'{declared.lower()}'" if not_null or key else f"'{declared.lower()}', 'null'"
        conditions.append(f"typeof({name}) NOT IN ({allowed})")
        if declared == "BLOB":
            conditions.append(f"length({name}) > {MAX_VALUE_BYTES}")
    return " OR ".join(conditions)
