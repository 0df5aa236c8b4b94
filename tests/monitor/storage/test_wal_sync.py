import os
import sqlite3
from pathlib import Path

import pytest

from monitor.storage import wal_sync
from monitor.storage.outbox import Outbox
from monitor.storage.store import Store
from monitor.storage.wal_sync import WalSync
from tests.conftest import wait_until


@pytest.fixture
def synced_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were synced to the disk."""
    names: list[str] = []

    def sync(file: int) -> None:
        names.append(Path(f"/proc/self/fd/{file}").readlink().name)
        os.fdatasync(file)

    monkeypatch.setattr(wal_sync, "_sync", sync)
    return names


def test_wal_is_synced_while_it_grows(tmp_path: Path, synced_files: list[str]) -> None:
    """The store's log is synced while it grows, and the store stays locked by this process."""
    store = Store(tmp_path / "s.db")
    store.create(["a"], 3)
    for number in range(200):
        store.save([(str(number), b"")], Outbox(), 1.0)
    wait_until(lambda: synced_files, "the log is synced")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        Store(tmp_path / "s.db")
    store.close()
    assert synced_files == ["s.db-wal"]


def test_repeated_requests(tmp_path: Path, synced_files: list[str]) -> None:
    """Each request syncs the file once, and `close` closes it."""
    path = tmp_path / "log"
    path.touch()
    log_sync = WalSync(path)
    for count in (1, 2, 3):
        log_sync.request_sync()
        wait_until(lambda count=count: len(synced_files) == count, "the log is synced")
    log_sync.close()
    open_files = [file.resolve() for file in Path("/proc/self/fd").iterdir()]
    assert path not in open_files


@pytest.mark.parametrize("requested", [False, True])
def test_no_file(tmp_path: Path, requested: bool) -> None:  # noqa: FBT001, a parameter
    """A missing file is ignored, and `close` works without a request before it."""
    log_sync = WalSync(tmp_path / "log")
    if requested:
        log_sync.request_sync()
    log_sync.close()
