from pathlib import Path

from tests.chaos.clock_steps import step_clock

SEED = 1


def test_clock_set_ahead_and_back(tmp_path: Path) -> None:
    """A clock that is set a year ahead and back under load makes no reading late and dates no alert wrong."""
    row = step_clock(tmp_path / "run", 2, SEED)
    assert not row.problems, row
