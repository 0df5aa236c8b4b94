"""Readings pending for the page keep the order of arrival; if there are too many, the oldest are dropped."""

import numpy as np
import pytest

from monitor.core.readings import Outcome, Readings, Windows
from monitor.core.verdicts import JudgedWindows
from monitor.detect.scoring import ScoredBatch
from monitor.web.recent_readings import RecentReadings

FILLING, JUDGED, LATE = Outcome.FILLING, Outcome.JUDGED, Outcome.LATE


def _batch(first: int, outcomes: list[Outcome]) -> tuple[Readings, ScoredBatch]:
    """Return readings numbered from `first` on: each event time, value and score is the reading's number."""
    numbers = np.arange(first, first + len(outcomes), dtype=np.float64)
    rows = np.flatnonzero([outcome is JUDGED for outcome in outcomes])
    groups, values = [f"g{number:.0f}" for number in numbers], np.stack([numbers, -numbers], axis=1)
    unused, unused_flags = np.empty(0), np.empty(0, dtype=np.bool_)
    readings = Readings(groups, numbers, values, unused, unused, unused_flags)
    windows = Windows(outcomes, rows, unused, unused)
    detectors = np.empty(0, dtype=np.uint8)
    judged = JudgedWindows([], unused, unused, numbers[rows], unused_flags, unused_flags, detectors)
    return readings, ScoredBatch(windows, judged, [], unused)


def _take_numbers(recent: RecentReadings) -> list[int]:
    """Take all readings, check that their columns agree, and return their numbers."""
    names, ts, values, scores = recent.take()
    assert names == [f"g{number:.0f}" for number in ts]
    assert values.tolist() == [[number, -number] for number in ts]
    assert np.isnan(scores).all() or scores.tolist() == ts.tolist()
    return [int(number) for number in ts]


@pytest.mark.parametrize("sizes", [[], [1], [3, 4, 3], [10], [7, 0, 3], [10, 1], [9, 9, 9], [25], [4, 23]])
def test_newest_readings_in_order(sizes: list[int]) -> None:
    """The newest ten readings are returned in order and once, whatever the sizes of the batches."""
    recent = RecentReadings(10, 2)
    for _ in range(2):  # the second time with a used buffer
        count = 0
        for size in sizes:
            recent.add(*_batch(count, [JUDGED] * size))
            count += size
        assert _take_numbers(recent) == list(range(count))[-10:]
        assert _take_numbers(recent) == []


def test_taken_readings_do_not_change() -> None:
    """Later readings do not change readings that were taken."""
    recent = RecentReadings(10, 2)
    recent.add(*_batch(0, [JUDGED] * 3))
    names, ts, values, scores = recent.take()
    recent.add(*_batch(50, [JUDGED] * 10))
    assert names == ["g0", "g1", "g2"]
    assert ts.tolist() == values[:, 0].tolist() == scores.tolist() == [0, 1, 2]


def test_rejected_readings_are_left_out() -> None:
    """Late readings are left out; a reading that completed no window has no score."""
    recent = RecentReadings(10, 2)
    recent.add(*_batch(0, [LATE, JUDGED, FILLING, LATE, JUDGED]))
    names, ts, _, scores = recent.take()
    assert (names, ts.tolist()) == (["g1", "g2", "g4"], [1, 2, 4])
    assert scores[[0, 2]].tolist() == [1, 4]
    assert np.isnan(scores[1])
    recent.add(*_batch(0, [LATE] * 3))
    assert _take_numbers(recent) == []
