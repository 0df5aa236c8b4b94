from pathlib import Path

from tests.chaos.value_faults import disturb_plant_of_values


def test_plant_of_values(tmp_path: Path) -> None:
    """Kills, a cut connection and a restart of the broker lose none of the values that sensors sent."""
    row = disturb_plant_of_values(tmp_path, 3, 1)
    assert not row.problems, row
