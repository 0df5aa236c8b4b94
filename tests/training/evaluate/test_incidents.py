import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from training.data import dataset
from training.data.dataset import Dataset
from training.data.recordings import NAMES
from training.evaluate.incidents import Incidents, measure

PERIOD = 5.0


def _data(*groups: list[str], kinds: bool = True) -> Dataset:
    """Windows of groups whose readings have these kinds of fault, "" for a healthy one."""
    frames = []
    for number, each in enumerate(groups):
        count = len(each)
        frame = pd.DataFrame(np.zeros((count, 4)), columns=NAMES)
        frame["ts"] = 1000 + PERIOD * np.arange(count)
        frame["group"] = f"g{number}"
        frame["label"] = [-1 if kind else 1 for kind in each]
        frames.append(frame.assign(kind=each) if kinds else frame)
    return dataset.build([pd.concat(frames, ignore_index=True)], max_gap=3 * PERIOD)


def _called(data: Dataset, *readings: int) -> NDArray[np.bool_]:
    """Call those windows Faulty whose last reading has one of these places in its group."""
    return np.isin(data.ts[:, -1], [1000 + PERIOD * place for place in readings])


def _one(seen: Incidents) -> tuple[bool, int | None]:
    (episode,) = seen.episodes
    return episode.found, episode.delay


FAULT = [""] * 5 + ["offset"] * 4 + [""] * 8
"""Readings 5 to 8 are faulty, so windows 5 to 10 are."""


@pytest.mark.parametrize(
    ("called", "found", "delay"),
    [((5, 6, 7, 8, 9, 10), True, 0), ((7,), True, 2), ((10,), True, 5), ((), False, None)],
)
def test_delay_counts_readings(called: tuple[int, ...], found: bool, delay: int | None) -> None:  # noqa: FBT001
    """A fault is found by any window that holds one of its readings; the delay counts from its first."""
    data = _data(FAULT)
    seen = measure(data, _called(data, *called), PERIOD)
    assert _one(seen) == (found, delay)
    assert seen.false_alarms == 0


def test_an_alert_after_the_fault_does_not_find_it() -> None:
    """Once no window holds a faulty reading, an alert is false and the fault is missed."""
    data = _data(FAULT)
    seen = measure(data, _called(data, 11), PERIOD)
    assert _one(seen) == (False, None)
    assert (seen.alerts, seen.false_alarms) == (1, 1)


def test_an_alert_from_before_is_no_quick_find() -> None:
    """A fault that begins while a false alarm is open has no alert of its own, and the alarm stays false."""
    data = _data(FAULT)
    seen = measure(data, _called(data, 4, 5, 6), PERIOD)
    assert _one(seen) == (True, None)
    assert (seen.alerts, seen.false_alarms) == (1, 1)


def test_incidents_end_as_the_monitors_do() -> None:
    """Two Normal windows leave an incident open, three close it."""
    data = _data([""] * 20)
    assert measure(data, _called(data, 5, 8), PERIOD).alerts == 1
    assert measure(data, _called(data, 5, 9), PERIOD).alerts == 2


def test_always_faulty_is_no_good() -> None:
    """A model that calls all Faulty finds every fault, but with no alert of its own and never at rest."""
    data = _data(FAULT)
    seen = measure(data, np.ones(len(data), dtype=bool), PERIOD)
    assert _one(seen) == (True, None)
    assert seen.false_alarms == 1
    assert seen.alert_share == 1


def test_false_alarms_are_counted_by_the_day_and_group() -> None:
    """One in a fortieth of a day, over two groups of half that each, is 40 a day and group."""
    data = _data([""] * 218, [""] * 218)
    one = _called(data, 50) & (data.stretches == 1)
    seen = measure(data, one, PERIOD)
    assert seen.group_days == pytest.approx(1 / 40)
    assert seen.false_alarms_a_day == pytest.approx(40)


def test_groups_do_not_mix() -> None:
    """An alert of one group neither finds nor delays another's fault."""
    data = _data(FAULT, [""] * len(FAULT))
    other = _called(data, 5, 6, 7) & (data.stretches == 1)
    seen = measure(data, other, PERIOD)
    assert _one(seen) == (False, None)
    assert seen.false_alarms == 1


def test_the_order_of_windows_does_not_matter() -> None:
    """Windows are taken by group and time, however they come."""
    data = _data(FAULT, FAULT[::-1])
    called = _called(data, 6, 12)
    mixed = np.random.default_rng(0).permutation(len(data))
    shuffled = Dataset(*(getattr(data, name)[mixed] for name in Dataset.__slots__))
    assert measure(shuffled, called[mixed], PERIOD) == measure(data, called, PERIOD)


def test_kinds_are_counted_apart() -> None:
    """Each fault has its kind, also where one follows another after a single healthy reading."""
    data = _data(["", "", "", "spike", "", "loss", "loss", "", "", "", ""])
    seen = measure(data, _called(data, 6, 7), PERIOD)
    assert seen.by_kind() == {"loss": (1, 1), "spike": (0, 1)}
    assert [episode.readings for episode in seen.episodes] == [1, 2]


def test_a_recording_without_kinds() -> None:
    """Where only labels are known, a run of Faulty windows is a fault."""
    data = _data(FAULT, kinds=False)
    seen = measure(data, _called(data, 6), PERIOD)
    assert _one(seen) == (True, 1)
    assert measure(data, _called(data, 11), PERIOD).found == 0
    assert seen.by_kind() == {"unnamed": (1, 1)}


def test_delays_are_told_by_share() -> None:
    """Median and 95 % are delays that occurred; without any there is none."""
    data = _data(FAULT, FAULT, FAULT)
    late = [_called(data, place) & (data.stretches == group) for group, place in enumerate((5, 6, 8))]
    seen = measure(data, np.any(late, axis=0), PERIOD)
    assert seen.delays == [0, 1, 3]
    assert (seen.delay(0.5), seen.delay(0.95)) == (1, 3)
    assert measure(data, _called(data), PERIOD).delay(0.5) is None
