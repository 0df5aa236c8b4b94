from pathlib import Path

import pytest

from tests.chaos.clock_faults import compare

READINGS = 10_000


@pytest.mark.parametrize(("seed", "stride"), [(1, 1), (2, 3)])
def test_outcomes_as_the_reference_says(toy_bundle: Path, seed: int, stride: int) -> None:
    """Whatever readings claim about time, outcomes and windows are those of a simple model of the design."""
    found = compare(toy_bundle, READINGS, seed, stride=stride)
    assert found.differences == []
    assert found.readings >= READINGS
    accepted = {"judged", "filling", "gap", *(["skipped"] if stride > 1 else [])}
    assert set(found.outcomes) == accepted | {"malformed", "unmatched", "duplicate", "late", "future"}
