import numpy as np
import pytest

from monitor.web.trends import POINTS, Trends

NAN = float("nan")


def add(trends: Trends, *readings: tuple[int, float, float, float]) -> None:
    """Add readings, each a row, a time, a value and a score."""
    rows, ts, values, scores = (np.array(column) for column in zip(*readings, strict=True))
    trends.add(rows.astype(np.intp), ts.astype(float), values.astype(float)[:, None], scores.astype(float))


def points(trends: Trends, row: int) -> list[tuple[float, float, float]]:
    """Return a group's points: when, score, value."""
    begins, worst, values = trends.all([row])
    columns = zip(begins[0].tolist(), worst[0].tolist(), values[0, :, 0].tolist(), strict=True)
    return [(begin, score, value) for begin, score, value in columns if begin == begin]  # noqa: PLR0124, not NaN


def test_a_point_is_the_newest_value_and_the_worst_score() -> None:
    """Readings of the same five seconds are one point: the last value, and the highest score of any."""
    trends = Trends(2, 1, 5.0)
    add(trends, (0, 100.0, 1, 0.25), (0, 101.0, 2, 0.75), (0, 104.9, 3, 0.5), (0, 105.0, 4, 0.0))
    assert points(trends, 0) == [(100, 0.75, 3), (105, 0.0, 4)]
    assert trends.ts[0] == 105
    assert trends.scores[0] == 0


def test_a_point_goes_on_in_the_next_call() -> None:
    """It makes no difference how readings are split over calls."""
    course = [(row, 100.0 + 2 * n, n + 10 * row, (n * 7 % 5) / 8) for n in range(40) for row in (0, 1)]
    whole = Trends(2, 1, 5.0)
    add(whole, *course)
    for size in (1, 3, 20):
        split = Trends(2, 1, 5.0)
        for begin in range(0, len(course), size):
            add(split, *course[begin : begin + size])
        assert [points(split, row) for row in (0, 1)] == [points(whole, row) for row in (0, 1)]


def test_no_score_is_no_zero() -> None:
    """A reading without a window leaves the score open, and takes none away."""
    trends = Trends(1, 1, 5.0)
    add(trends, (0, 100.0, 1, NAN))
    assert np.isnan(points(trends, 0)[0][1])
    add(trends, (0, 101.0, 1, 0.5))
    add(trends, (0, 102.0, 1, NAN))
    assert points(trends, 0) == [(100, 0.5, 1)]
    assert trends.scores[0] == 0.5


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_so_many_points_are_kept(size: int) -> None:
    """Of a long history, also of one that comes at once, the newest points are kept in their order."""
    trends = Trends(2, 1, 5.0)
    course = [(0, 5.0 * number, number, 0.0) for number in range(200)]
    for begin in range(0, len(course), size):
        add(trends, *course[begin : begin + size])
    assert points(trends, 0) == [(5.0 * number, 0, number) for number in range(200 - POINTS, 200)]
    assert points(trends, 1) == []
    assert trends.newest([0])[0].tolist() == [995.0]


def test_a_clock_that_goes_back() -> None:
    """A station whose clock was set back goes on with the points that it sends."""
    trends = Trends(1, 1, 5.0)
    add(trends, (0, 500.0, 1, 0.0), (0, 100.0, 2, 0.0), (0, 105.0, 3, 0.0))
    assert points(trends, 0) == [(500, 0, 1), (100, 0, 2), (105, 0, 3)]


def test_jumps_are_told() -> None:
    """Who follows point by point is told where there were several."""
    trends = Trends(3, 1, 5.0)
    add(trends, (0, 100.0, 1, 0.0), (0, 101.0, 1, 0.0), (1, 100.0, 1, 0.0), (1, 105.0, 1, 0.0))
    assert trends.jumped.tolist() == [False, True, False]
    add(trends, (1, 110.0, 1, 0.0))
    assert not trends.jumped.any()


def test_cleared() -> None:
    """A row that was cleared has nothing of the group that had it before."""
    trends = Trends(1, 1, 5.0)
    add(trends, (0, 100.0, 1, 0.5))
    trends.clear(0)
    assert points(trends, 0) == []
    assert np.isnan(trends.ts[0])
    assert np.isnan(trends.scores[0])
