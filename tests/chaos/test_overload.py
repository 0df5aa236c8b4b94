from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.chaos.input_faults import fuzz_decode
from tests.chaos.overload import flood
from tests.chaos.soak import soak
from tests.conftest import skip_or_fail

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


def test_fuzzer(tmp_path: Path) -> None:
    """A coverage-guided fuzzer finds no input that breaks an invariant of the decode stage."""
    if find_spec("atheris") is None:
        skip_or_fail("packages", "atheris isn't installed: it has wheels for Linux on x86-64 only")
    row = fuzz_decode(tmp_path / "fuzz", 50_000, SEED)
    assert not row.problems, row
