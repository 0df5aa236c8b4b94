import numpy as np
import pytest

from monitor.detect.missing_features import MissingFeatures

FEATURES = ("a", "b")
A, B = [True, False], [False, True]
NAN = np.nan


def add(missing: MissingFeatures, at: float, **stale: list[bool]) -> None:
    """Add a sampling time without a reading of each of some groups."""
    missing.add(list(stale), np.array(list(stale.values())), at)


def test_never_came() -> None:
    """A feature that no group has ever had is named, with the number of groups that send other values."""
    missing = MissingFeatures(FEATURES, max_groups=2)
    for at in (0.0, 5.0):
        add(missing, at, g=B, h=B, i=B)
        assert not missing.is_problem
    add(missing, 6.0, g=B)
    assert missing.is_problem
    ages = np.array([[1, NAN], [2, NAN], [3, NAN], [NAN, NAN]])
    assert missing.describe(ages) == "no reading can be made: b has never come in 3 groups"
    ages[0, 1] = 500
    assert missing.describe(ages) == "no reading can be made: b has no usable value in at least 2 groups"


def test_different_features() -> None:
    """Groups may lack different features; what counts is what lacked last."""
    missing = MissingFeatures(FEATURES, max_groups=9)
    for at in (0.0, 5.0, 10.0):
        add(missing, at, g=A if at else B, h=B)
    ages = np.array([[500, 1], [1, 500.0]])
    expected = "a has no usable value in 1 group, b has no usable value in 1 group"
    assert missing.describe(ages) == f"no reading can be made: {expected}"


@pytest.mark.parametrize(("span", "is_problem"), [(29.0, False), (30.0, True)])
def test_after_a_reading(*, span: float, is_problem: bool) -> None:
    """After a reading, none for half a minute is a problem, and the next reading ends it."""
    missing = MissingFeatures(FEATURES, max_groups=9)
    missing.restart()
    for at in np.linspace(0, span, 10).tolist():
        add(missing, at, g=A)
    assert missing.is_problem == is_problem
    missing.restart()
    assert not missing.is_problem
