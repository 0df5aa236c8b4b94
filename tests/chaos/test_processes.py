"""Each test runs a scenario of `make chaos` with fewer repetitions and a fixed seed, so failures repeat."""

from pathlib import Path

from tests.chaos.process_faults import (
    kill_monitor,
    start_before_broker,
    start_second_monitor,
    start_with_wrong_address,
)

SEED = 1


def test_monitor_killed(tmp_path: Path) -> None:
    """A kill of the monitor under load loses no reading and no alert, and gives no incident a second id."""
    row = kill_monitor(tmp_path, 5, SEED)
    assert not row.problems, row


def test_broker_absent_at_first(tmp_path: Path) -> None:
    """A monitor that starts before its broker waits for it, and then loses nothing."""
    row = start_before_broker(tmp_path, 1, SEED, 1.0)
    assert not row.problems, row


def test_two_monitors_of_one_id(tmp_path: Path) -> None:
    """Of two monitors with one client id, the later one continues and the earlier one exits with a reason."""
    row = start_second_monitor(tmp_path, 1, SEED)
    assert not row.problems, row


def test_wrong_address_corrected(tmp_path: Path) -> None:
    """A wrong broker address can be corrected by a reload, and no reading sent afterwards is lost."""
    row = start_with_wrong_address(tmp_path, 1, SEED)
    assert not row.problems, row
