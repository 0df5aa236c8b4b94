"""The store's table of what Sparkplug edge nodes declared in their births."""

import sqlite3
from collections.abc import Mapping

__all__ = ["CREATE_BIRTHS", "load_births", "save_births"]

CREATE_BIRTHS = "CREATE TABLE births (edge TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
_UPSERT = "INSERT INTO births VALUES (?, ?) ON CONFLICT (edge) DO UPDATE SET value = excluded.value"


def load_births(database: sqlite3.Connection) -> dict[str, bytes]:
    """Return all that is stored, by the edge node."""
    return dict(database.execute("SELECT edge, value FROM births"))


def save_births(database: sqlite3.Connection, births: Mapping[str, bytes]) -> None:
    """Write changes within a transaction; an edge node with an empty value is deleted."""
    removed = [(edge,) for edge, value in births.items() if not value]
    database.executemany("DELETE FROM births WHERE edge = ?", removed)
    database.executemany(_UPSERT, [(edge, value) for edge, value in births.items() if value])
