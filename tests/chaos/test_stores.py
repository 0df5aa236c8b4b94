from pathlib import Path

from tests.chaos.store_faults import can_mount, fill_disk, kill_during_commit, truncate_store
from tests.conftest import skip_or_fail

SEED = 1


def test_killed_during_commit(tmp_path: Path) -> None:
    """A monitor that is killed before, within or after a commit loses nothing and makes nothing up."""
    row = kill_during_commit(tmp_path, 3, SEED)
    assert not row.problems, row


def test_disk_full(tmp_path: Path) -> None:
    """With a full disk the monitor judges on, says that it isn't ready, and catches up when there is room."""
    if not can_mount(tmp_path):
        skip_or_fail("mount", "a small tmpfs can't be mounted here, which takes root")
    row = fill_disk(tmp_path, 1, SEED)
    assert not row.problems, row


def test_store_truncated(tmp_path: Path) -> None:
    """A store that was cut off is set aside with a word, and all begins afresh."""
    row = truncate_store(tmp_path, 1, SEED)
    assert not row.problems, row
