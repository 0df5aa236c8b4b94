from pathlib import Path

from tests.chaos.broker_faults import kill_broker, restart_broker

SEED = 1


def test_broker_restarted(tmp_path: Path) -> None:
    """A restart of the broker loses no reading and no alert."""
    row = restart_broker(tmp_path, 3, SEED)
    assert not row.problems, row


def test_broker_killed(tmp_path: Path) -> None:
    """After a kill of the broker the monitor reconnects, and judges every reading that was delivered."""
    row = kill_broker(tmp_path, 2, SEED)
    assert not row.problems, row
