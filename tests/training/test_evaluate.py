import numpy as np

from training.dataset import Dataset
from training.evaluate import measure


def _data(faulty: list[bool], kinds: list[str]) -> Dataset:
    count = len(faulty)
    return Dataset(
        np.zeros(count, dtype=np.intp),
        np.zeros((count, 3)),
        np.zeros((count, 3, 4)),
        np.array(faulty),
        np.array(kinds),
    )


def test_counts_and_shares() -> None:
    """Found, missed and false alarms are counted, and recall of a kind by the last reading."""
    data = _data([True, True, True, False, False], ["spike", "spike", "", "", ""])
    quality = measure(data, np.array([True, False, True, True, False]))
    assert (quality.found, quality.missed, quality.false_alarms, quality.passed) == (2, 1, 1, 1)
    assert quality.f1 == 2 / 3
    assert quality.false_share == 1 / 2
    assert quality.recall_by_kind == {"spike": 0.5}
    assert quality.windows_by_kind == {"spike": 2}


def test_a_share_of_nothing_is_none() -> None:
    """Without a Faulty window there is no recall, rather than a perfect or a hopeless one."""
    quality = measure(_data([False], [""]), np.array([False]))
    assert (quality.recall, quality.precision, quality.f1) == (None, None, None)
