import numpy as np
import pytest

from monitor.web.trends import POINTS_PER_GROUP, Trends

NAN = float("nan")


def add_readings(trends: Trends, *readings: tuple[int, float, float, float]) -> None:
    """Add readings, each (row, event time, value, score)."""
    rows, ts, values, scores = (np.array(column) for column in zip(*readings, strict=True))
    trends.add(rows.astype(np.intp), ts.astype(float), values.astype(float)[:, None], scores.astype(float))


def read_points(trends: Trends, row: int) -> list[tuple[float, float, float]]:
    """Return a group's points, each (begin, highest score, value)."""
    begins, scores, values = trends.all_points([row])
    columns = zip(begins[0].tolist(), scores[0].tolist(), values[0, :, 0].tolist(), strict=True)
    return [(begin, score, value) for begin, score, value in columns if begin == begin]  # noqa: PLR0124, not NaN


def test_point_has_newest_value_and_highest_score() -> None:
    """Readings of the same five seconds are one point: the newest value, and the highest of the scores."""
    trends = Trends(2, 1, 5.0)
    add_readings(trends, (0, 100.0, 1, 0.25), (0, 101.0, 2, 0.75), (0, 104.9, 3, 0.5), (0, 105.0, 4, 0.0))
    assert read_points(trends, 0) == [(100, 0.75, 3), (105, 0.0, 4)]
    assert trends.latest_ts[0] == 105
    assert trends.latest_scores[0] == 0


def test_point_continues_in_the_next_call() -> None:
    """Splitting readings over several calls makes no difference."""
    readings = [(row, 100.0 + 2 * n, n + 10 * row, (n * 7 % 5) / 8) for n in range(40) for row in (0, 1)]
    whole = Trends(2, 1, 5.0)
    add_readings(whole, *readings)
    for size in (1, 3, 20):
        split = Trends(2, 1, 5.0)
        for begin in range(0, len(readings), size):
            add_readings(split, *readings[begin : begin + size])
        assert [read_points(split, row) for row in (0, 1)] == [read_points(whole, row) for row in (0, 1)]


def test_missing_score_is_not_zero() -> None:
    """A reading without a score leaves the point's score as it is, NaN at first."""
    trends = Trends(1, 1, 5.0)
    add_readings(trends, (0, 100.0, 1, NAN))
    assert np.isnan(read_points(trends, 0)[0][1])
    add_readings(trends, (0, 101.0, 1, 0.5))
    add_readings(trends, (0, 102.0, 1, NAN))
    assert read_points(trends, 0) == [(100, 0.5, 1)]
    assert trends.latest_scores[0] == 0.5


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_number_of_points_is_limited(size: int) -> None:
    """Only the newest points are kept, in order, also if all arrive in one call."""
    trends = Trends(2, 1, 5.0)
    readings = [(0, 5.0 * number, number, 0.0) for number in range(200)]
    for begin in range(0, len(readings), size):
        add_readings(trends, *readings[begin : begin + size])
    assert read_points(trends, 0) == [
        (5.0 * number, 0, number) for number in range(200 - POINTS_PER_GROUP, 200)
    ]
    assert read_points(trends, 1) == []
    assert trends.newest_points([0])[0].tolist() == [995.0]


def test_clock_set_back() -> None:
    """Points of a station whose clock was set back follow in the order of arrival."""
    trends = Trends(1, 1, 5.0)
    add_readings(trends, (0, 500.0, 1, 0.0), (0, 100.0, 2, 0.0), (0, 105.0, 3, 0.0))
    assert read_points(trends, 0) == [(500, 0, 1), (100, 0, 2), (105, 0, 3)]


def test_multiple_new_points_are_flagged() -> None:
    """`multiple_new_points` marks groups that got more than one new point in the last call."""
    trends = Trends(3, 1, 5.0)
    add_readings(trends, (0, 100.0, 1, 0.0), (0, 101.0, 1, 0.0), (1, 100.0, 1, 0.0), (1, 105.0, 1, 0.0))
    assert trends.multiple_new_points.tolist() == [False, True, False]
    add_readings(trends, (1, 110.0, 1, 0.0))
    assert not trends.multiple_new_points.any()


def test_cleared_row() -> None:
    """A cleared row has no data of the group that used it before."""
    trends = Trends(1, 1, 5.0)
    add_readings(trends, (0, 100.0, 1, 0.5))
    trends.clear(0)
    assert read_points(trends, 0) == []
    assert np.isnan(trends.latest_ts[0])
    assert np.isnan(trends.latest_scores[0])
