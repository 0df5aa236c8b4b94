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
    """Under three times what it can judge, memory is bounded and each reading judged or accounted for."""
    row = flood(tmp_path / "flood", 1, SEED, qos)
    assert not row.problems, row


def test_soak(tmp_path: Path) -> None:
    """However many readings come, of groups that come and go, memory stays where it is."""
    # A tenth of these is too few to have seen the most that comes together: 1 to 2 MiB come after it. A leak
    # is more.
    row = soak(tmp_path / "soak", 300_000, SEED, group_count=100, stale_after=0.1, max_growth=0.03)
    assert not row.problems, row


def test_fuzzer(tmp_path: Path) -> None:
    """A fuzzer that looks for new branches in decode finds none where its promise breaks."""
    if find_spec("atheris") is None:
        skip_or_fail("packages", "atheris isn't installed: it has wheels for Linux on x86-64 only")
    row = fuzz_decode(tmp_path / "fuzz", 50_000, SEED)
    assert not row.problems, row
