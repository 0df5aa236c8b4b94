from pathlib import Path

import pytest

from tests.chaos.clock_faults import compare_with_reference_model

READINGS = 10_000


@pytest.mark.parametrize(("seed", "stride"), [(1, 1), (2, 3)])
def test_outcomes_match_the_reference(toy_bundle: Path, seed: int, stride: int) -> None:
    """For readings with arbitrary event times, outcomes and windows equal those of a reference model."""
    found = compare_with_reference_model(toy_bundle, READINGS, seed, stride=stride)
    assert found.differences == []
    assert found.reading_count >= READINGS
    accepted = {"judged", "filling", "gap", *(["skipped"] if stride > 1 else [])}
    assert set(found.outcomes) == accepted | {"malformed", "unmatched", "duplicate", "late", "future"}
