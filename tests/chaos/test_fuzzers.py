from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.chaos.input_faults import fuzz
from tests.conftest import skip_or_fail

SEED = 1


@pytest.mark.parametrize(
    ("target", "count"),
    [
        ("decode", 50_000),
        ("packets", 5_000),
        ("payloads", 10_000),
        ("operators", 5_000),
        ("http", 2_000),
        ("settings", 1_000),
        ("bundles", 500),
        ("models", 5),
        ("stores", 300),
    ],
)
def test_fuzzer(tmp_path: Path, target: str, count: int) -> None:
    """A fuzzer finds no input that crashes or stops the monitor, and none that is taken for what it isn't."""
    if find_spec("atheris") is None:
        skip_or_fail("packages", "atheris isn't installed: it has wheels for Linux on x86-64 only")
    row = fuzz(tmp_path / "fuzz", target, count, SEED)
    assert not row.problems, row
