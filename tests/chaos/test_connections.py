from pathlib import Path

from tests.chaos.connection_faults import break_connection, disconnect_subscriber

SEED = 1


def test_connection_broken(tmp_path: Path) -> None:
    """A connection that is cut, stalled or open at one end only costs no reading and no alert."""
    row = break_connection(tmp_path, 5, SEED)
    assert not row.problems, row


def test_alert_subscriber_away(tmp_path: Path) -> None:
    """A subscriber of alerts that was away gets each of them once it is back."""
    row = disconnect_subscriber(tmp_path, 1, SEED)
    assert not row.problems, row
