"""What waits for the page is in the order of arrival, and the newest of it where there is too much."""

import numpy as np
import pytest

from monitor.core.readings import Outcome, Readings, Windows
from monitor.core.verdicts import JudgedWindows
from monitor.detect.scoring import ScoredBatch
from monitor.web.recent_readings import RecentReadings

FILLING, JUDGED, LATE = Outcome.FILLING, Outcome.JUDGED, Outcome.LATE


def _batch(first: int, outcomes: list[Outcome]) -> tuple[Readings, ScoredBatch]:
    """Return readings that are numbered from `first` on: each time, value and score is its number."""
    numbers = np.arange(first, first + len(outcomes), dtype=np.float64)
    rows = np.flatnonzero([outcome is JUDGED for outcome in outcomes])
    nothing, none = np.empty(0), np.empty(0, dtype=np.bool_)
    readings = Readings(
        [f"g{number:.0f}" for number in numbers], numbers, np.stack([numbers, -numbers], axis=1),
        nothing, nothing, none,
    )  # fmt: skip
    windows = Windows(outcomes, rows, nothing, nothing)
    judged = JudgedWindows([], nothing, nothing, numbers[rows], none, none)
    return readings, ScoredBatch(windows, judged, [], nothing)


def _take_numbers(recent: RecentReadings) -> list[int]:
    """Return the numbers of what is taken, when all of it is of one piece."""
    names, ts, values, scores = recent.take()
    assert names == [f"g{number:.0f}" for number in ts]
    assert values.tolist() == [[number, -number] for number in ts]
    assert np.isnan(scores).all() or scores.tolist() == ts.tolist()
    return [int(number) for number in ts]


@pytest.mark.parametrize("sizes", [[], [1], [3, 4, 3], [10], [7, 0, 3], [10, 1], [9, 9, 9], [25], [4, 23]])
def test_the_newest_in_their_order(sizes: list[int]) -> None:
    """Of what came the newest ten are there, whatever came at once; and each only once."""
    recent = RecentReadings(10, 2)
    for _ in range(2):  # as well where others were before
        count = 0
        for size in sizes:
            recent.add(*_batch(count, [JUDGED] * size))
            count += size
        assert _take_numbers(recent) == list(range(count))[-10:]
        assert _take_numbers(recent) == []


def test_what_is_taken_stays_as_it_was() -> None:
    """What comes afterwards changes nothing of what was taken."""
    recent = RecentReadings(10, 2)
    recent.add(*_batch(0, [JUDGED] * 3))
    names, ts, values, scores = recent.take()
    recent.add(*_batch(50, [JUDGED] * 10))
    assert names == ["g0", "g1", "g2"]
    assert ts.tolist() == values[:, 0].tolist() == scores.tolist() == [0, 1, 2]


def test_rejected_readings_are_left_out() -> None:
    """A reading that was late is none; one that completed no window has no score."""
    recent = RecentReadings(10, 2)
    recent.add(*_batch(0, [LATE, JUDGED, FILLING, LATE, JUDGED]))
    names, ts, _, scores = recent.take()
    assert (names, ts.tolist()) == (["g1", "g2", "g4"], [1, 2, 4])
    assert scores[[0, 2]].tolist() == [1, 4]
    assert np.isnan(scores[1])
    recent.add(*_batch(0, [LATE] * 3))
    assert _take_numbers(recent) == []
