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
    """Return the files that were brought to the disk, by name."""
    names: list[str] = []

    def sync(file: int) -> None:
        names.append(Path(f"/proc/self/fd/{file}").readlink().name)
        os.fdatasync(file)

    monkeypatch.setattr(wal_sync, "_sync", sync)
    return names


def test_wal_is_synced_while_it_grows(tmp_path: Path, synced_files: list[str]) -> None:
    """What a store writes is sent to the disk while it grows, and the store stays one process's alone."""
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
    """Each time that it is asked the file goes to the disk, and once closed it is let go of."""
    path = tmp_path / "log"
    path.touch()
    wal_sync_thread = WalSync(path)
    for times in (1, 2, 3):
        wal_sync_thread.request_sync()
        wait_until(lambda times=times: len(synced_files) == times, "the log is synced")
    wal_sync_thread.close()
    open_files = [file.resolve() for file in Path("/proc/self/fd").iterdir()]
    assert path not in open_files


@pytest.mark.parametrize("requested", [False, True])
def test_no_file(tmp_path: Path, requested: bool) -> None:  # noqa: FBT001, a parameter
    """A file that isn't there is nobody's trouble, nor is it to be closed before it is asked for."""
    wal_sync_thread = WalSync(tmp_path / "log")
    if requested:
        wal_sync_thread.request_sync()
    wal_sync_thread.close()
