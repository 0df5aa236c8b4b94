from pathlib import Path

from tests.chaos.connection_faults import break_connection, disconnect_subscriber

SEED = 1


def test_connection_broken(tmp_path: Path) -> None:
    """A cut, stalled or half-open connection loses no reading and no alert."""
    row = break_connection(tmp_path, 5, SEED)
    assert not row.problems, row


def test_alert_subscriber_absent(tmp_path: Path) -> None:
    """A subscriber of alerts that was disconnected receives every alert after it reconnects."""
    row = disconnect_subscriber(tmp_path, 1, SEED)
    assert not row.problems, row
