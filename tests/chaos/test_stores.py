from pathlib import Path

from tests.chaos.store_faults import can_mount, fill_disk, kill_during_commit, truncate_store
from tests.conftest import skip_or_fail

SEED = 1


def test_killed_during_commit(tmp_path: Path) -> None:
    """A kill before, within or after a commit loses no reading or alert and causes no unexpected event."""
    row = kill_during_commit(tmp_path, 3, SEED)
    assert not row.problems, row


def test_disk_full(tmp_path: Path) -> None:
    """With a full disk the monitor isn't ready but continues to judge, and recovers when there is space."""
    if not can_mount(tmp_path):
        skip_or_fail("mount", "a small tmpfs can't be mounted here; this takes root")
    row = fill_disk(tmp_path, 1, SEED)
    assert not row.problems, row


def test_store_truncated(tmp_path: Path) -> None:
    """A truncated store is set aside and named in the log, and the monitor starts with a new store."""
    row = truncate_store(tmp_path, 1, SEED)
    assert not row.problems, row
