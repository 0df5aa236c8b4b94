"""Values without event time, and a wall clock that is set."""

import numpy as np
import pytest

from monitor.core.rules import AlignmentRules
from monitor.core.values import ValueOutcome, Values
from monitor.ingest.alignment import AlignedBatch, AlignmentStage

RULES = AlignmentRules(period=10.0, wait=4.0, max_age=(15.0, 15.0), max_skew=20.0)
YEAR = 3.2e7


def _push(
    stage: AlignmentStage, wall: float, monotonic: float, *, is_arrival_ts: bool = True
) -> AlignedBatch:
    """Push a value of both features that arrives at a wall-clock time, which is its event time too."""
    arrived = np.full(2, wall)
    return stage.push(
        Values(
            groups=["g", "g"],
            features=np.array([0, 1]),
            ts=arrived,
            values=np.array([1.0, 2.0]),
            arrived_at=arrived,
            arrived_monotonic=np.full(2, monotonic),
            redelivered=np.zeros(2, np.bool_),
            is_arrival_ts=np.full(2, is_arrival_ts) if is_arrival_ts else None,
        ),
        monotonic,
    )


def test_readings_of_arrival_times() -> None:
    """A reading of values whose event times are arrival times says so; others don't."""
    for is_arrival_ts in (True, False):
        stage = AlignmentStage(2, RULES)
        _push(stage, 101, 1, is_arrival_ts=is_arrival_ts)
        flags = _push(stage, 115, 15, is_arrival_ts=is_arrival_ts).readings.is_arrival_ts
        assert (flags is not None and flags.tolist() == [True]) == is_arrival_ts


@pytest.mark.parametrize("moved", [False, True])
def test_clock_set_back(moved: bool) -> None:  # noqa: FBT001, a parameter of the test
    """After the clock was set back by a year, the next value is aligned, also after a restart."""
    stage = AlignmentStage(2, RULES)
    for step in range(5):
        _push(stage, YEAR + 10 * step, 10 * step)
    if moved:
        stored, stage = stage.dump("g"), AlignmentStage(2, RULES)
        stage.load("g", stored, 50)
    readings = []
    for step in range(5, 8):
        batch = _push(stage, 10 * step, 10 * step)
        assert set(batch.outcomes) == {ValueOutcome.ACCEPTED}
        readings += batch.readings.ts.tolist()
    assert readings == [50, 60, 70]


def test_clock_set_forward() -> None:
    """Where the source says that the clock was set, pending values of the old time make no reading."""
    stage = AlignmentStage(2, RULES)
    _push(stage, 101, 1)
    stage.restart_arrival_times()
    batch = _push(stage, YEAR + 2, 2)
    assert not len(batch.readings.ts)
    assert _push(stage, YEAR + 20, 20).readings.ts.tolist() == [YEAR + 10, YEAR + 20]
