from pathlib import Path

from tests.chaos.broker_faults import kill_broker, restart_broker

SEED = 1


def test_broker_restarted(tmp_path: Path) -> None:
    """A broker that is stopped and started loses nobody's reading and nobody's alert."""
    row = restart_broker(tmp_path, 3, SEED)
    assert not row.problems, row


def test_broker_killed(tmp_path: Path) -> None:
    """What a second subscriber got of a broker that is killed, the monitor judges too, and it comes back."""
    row = kill_broker(tmp_path, 2, SEED)
    assert not row.problems, row
