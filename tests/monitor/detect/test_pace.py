import numpy as np
import pytest

from monitor.core.readings import Outcome
from monitor.detect.pace import Pace

END = "; expected windows.max_gap = 900, three intervals, or a bundle fitted on readings at this pace"


def add(pace: Pace, intervals: list[float], outcome: Outcome, group: str = "a") -> None:
    """Add readings at these intervals, the first of them `filling`."""
    ts = 1000.0 + np.cumsum([0.0, *intervals])
    pace.add([group] * len(ts), ts, [Outcome.FILLING, *[outcome] * len(intervals)])


@pytest.mark.parametrize(
    ("intervals", "outcome", "expected"),
    [
        ([300.0] * 411, Outcome.GAP, "0 of 412 judged: all gap; readings come every 300 s, max_gap is 15"),
        ([299.98, 300.03], Outcome.GAP, "0 of 3 judged: all gap; readings come every 300 s, max_gap is 15"),
        ([86400.0] * 2, Outcome.FILLING, "0 of 3 judged: all filling; readings come every 86400 s, max_gap"),
        ([1.0, 60.0] * 2, Outcome.GAP, "0 of 5 judged: all gap; readings come every 60 s, max_gap is 15"),
        ([300.0], Outcome.GAP, ""),
        ([15.0] * 9, Outcome.FILLING, ""),
        ([300.0, 5.0, 5.0], Outcome.GAP, ""),
    ],
)
def test_one_group(intervals: list[float], outcome: Outcome, expected: str) -> None:
    """As many gaps as a window has intervals, and no complete window, are a problem of pace."""
    pace = Pace(steps=3)
    add(pace, intervals, outcome)
    problem = pace.describe_problem(15.0)
    assert problem.startswith(expected)
    assert bool(problem) == bool(expected)
    assert pace.describe_problem(1e6) == ""


def test_some_groups() -> None:
    """Groups that are too slow are named where others complete windows."""
    pace = Pace(steps=3)
    add(pace, [5.0, 5.0], Outcome.JUDGED, "quick")
    add(pace, [5.0, 5.0], Outcome.WARMING, "warming")
    add(pace, [300.0] * 9, Outcome.GAP, "slow\n")
    text = "1 of 3 groups (slow\\n): 0 of 10 judged: all gap; readings come every 300 s, max_gap is 15"
    assert pace.describe_problem(15.0) == text + END


def test_limit_and_restart() -> None:
    """Groups beyond the limit aren't followed; after a restart nothing is known."""
    pace = Pace(steps=3, max_groups=1)
    for group in ("a", "b"):
        add(pace, [300.0] * 9, Outcome.GAP, group)
    assert pace.describe_problem(15.0).startswith("0 of 10 judged")
    pace.restart()
    assert pace.describe_problem(15.0) == ""


def test_clock_set_back() -> None:
    """Readings before and after a sender's clock was set back have no interval."""
    pace = Pace(steps=3)
    for _ in range(9):
        add(pace, [300.0], Outcome.FILLING)
    assert pace.describe_problem(15.0) == ""
