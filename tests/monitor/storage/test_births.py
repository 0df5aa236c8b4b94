import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from monitor.config.settings import StoreSettings
from monitor.storage.restore import open_store

FEATURES, STEPS = ["a", "b"], 3


def test_births(tmp_path: Path) -> None:
    """Births are there for the next process; an empty value deletes one."""
    settings = StoreSettings(path=tmp_path / "s.db")
    with closing(open_store(settings, FEATURES, STEPS)) as store:
        assert store.load_births() == {}
        store.save([], store.load_outbox(), now=1.0, births={"press/a": b"1", "press/b": b"2"})
        store.save([], store.load_outbox(), now=2.0, births={"press/a": b"3", "press/b": b""})
        store.save([], store.load_outbox(), now=3.0)
    with closing(open_store(settings, FEATURES, STEPS)) as store:
        assert store.load_births() == {"press/a": b"3"}


def test_births_are_of_the_transaction(tmp_path: Path) -> None:
    """Where the transaction fails, no birth of it is kept."""
    with closing(open_store(StoreSettings(path=tmp_path / "s.db"), FEATURES, STEPS)) as store:
        with pytest.raises(sqlite3.IntegrityError):
            store.save([("g", None)], store.load_outbox(), now=1.0, births={"press/a": b"1"})  # type: ignore[list-item]
        assert store.load_births() == {}
