"""The plant notices harm, and only harm."""

import pytest

from tests.security.attackers import Target
from tests.security.plant import Plant


def leave_alone(target: Target) -> None:
    """Do nothing."""
    target.started.set()
    target.stopped.wait()


def test_no_attack(plant: Plant) -> None:
    """Where nobody attacks, nothing is harmed."""
    with plant.attack(leave_alone):
        alert = plant.turn_faulty()
        plant.send_rounds(1)
    assert alert["group"] == "line1/station0"
    plant.assert_unharmed()


def test_lost_reading(plant: Plant) -> None:
    """One lost reading of one station is harm."""
    with plant.attack(leave_alone):
        plant.stations.lose_reading()
        plant.send_rounds(1)
    with pytest.raises(AssertionError, match="after one that was lost"):
        plant.assert_unharmed()
