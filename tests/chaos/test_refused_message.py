from pathlib import Path

from tests.chaos.refused_message import refuse_messages

SEED = 1


def test_refused_messages(tmp_path: Path) -> None:
    """Messages that the broker refuses are counted and named once, and every other group's alerts arrive."""
    row = refuse_messages(tmp_path, 3, SEED, max_runs=2)
    assert not row.problems, row
