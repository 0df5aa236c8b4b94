from pathlib import Path

from tests.chaos.unread_log import leave_log_unread

SEED = 1


def test_log_unread(tmp_path: Path) -> None:
    """With a log that nobody reads all is judged, all alerts arrive, and SIGTERM ends the monitor."""
    row = leave_log_unread(tmp_path, 1, SEED)
    assert not row.problems, row
