"""Each test does what `make chaos` does more often; the seed is fixed so that a failure comes back."""

from pathlib import Path

from tests.chaos.process_faults import (
    kill_monitor,
    start_before_broker,
    start_second_monitor,
    start_with_wrong_address,
)

SEED = 1


def test_monitor_killed(tmp_path: Path) -> None:
    """A monitor that is killed under load loses no reading and no alert, and no incident gets a second id."""
    row = kill_monitor(tmp_path, 5, SEED)
    assert not row.problems, row


def test_broker_absent_at_first(tmp_path: Path) -> None:
    """A monitor that is there before its broker waits for it, and then works as any other."""
    row = start_before_broker(tmp_path, 1, SEED, 1.0)
    assert not row.problems, row


def test_two_monitors_of_one_id(tmp_path: Path) -> None:
    """Of two monitors with one client id the later goes on, and the other one ends with its reason."""
    row = start_second_monitor(tmp_path, 1, SEED)
    assert not row.problems, row


def test_wrong_address_corrected(tmp_path: Path) -> None:
    """A wrong address is corrected without a restart, and nothing of what comes then is lost."""
    row = start_with_wrong_address(tmp_path, 1, SEED)
    assert not row.problems, row
