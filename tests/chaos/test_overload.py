from pathlib import Path

import pytest

from tests.chaos.overload import flood
from tests.chaos.soak import soak

SEED = 1


@pytest.mark.parametrize("qos", [0, 1])
def test_flood(tmp_path: Path, qos: int) -> None:
    """Under three times the monitor's capacity, memory is bounded and each reading is judged or counted."""
    row = flood(tmp_path / "flood", 1, SEED, qos)
    assert not row.problems, row


def test_soak(tmp_path: Path) -> None:
    """However many readings arrive, of groups that appear and fall silent, memory doesn't grow."""
    # 3 % instead of 2 %: a tenth of so few readings doesn't reach the peak yet, and memory still grows by 1
    # to 2 MiB after it. A leak would be more.
    row = soak(tmp_path / "soak", 300_000, SEED, group_count=100, stale_after=0.1, max_growth=0.03)
    assert not row.problems, row
