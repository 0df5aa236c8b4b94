import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from tests.support.training_features import FEATURE_NAMES
from training.data import dataset
from training.data.dataset import Dataset
from training.evaluate.incidents import IncidentMetrics, compute_incident_metrics

SAMPLE_PERIOD = 5.0


def _data(*groups: list[str], kinds: bool = True) -> Dataset:
    """Return windows of groups whose readings have these fault kinds, "" for a healthy reading."""
    frames = []
    for number, reading_kinds in enumerate(groups):
        count = len(reading_kinds)
        frame = pd.DataFrame(np.zeros((count, 4)), columns=FEATURE_NAMES)
        frame["ts"] = 1000 + SAMPLE_PERIOD * np.arange(count)
        frame["group"] = f"g{number}"
        frame["label"] = [-1 if kind else 1 for kind in reading_kinds]
        frames.append(frame.assign(kind=reading_kinds) if kinds else frame)
    return dataset.build(
        [pd.concat(frames, ignore_index=True)], FEATURE_NAMES, steps=3, max_gap=3 * SAMPLE_PERIOD
    )


def _predict_faulty(data: Dataset, *readings: int) -> NDArray[np.bool_]:
    """Predict Faulty for the windows whose last reading is at one of these positions in its group."""
    return np.isin(data.ts[:, -1], [1000 + SAMPLE_PERIOD * position for position in readings])


def _single_episode(metrics: IncidentMetrics) -> tuple[bool, int | None]:
    (episode,) = metrics.episodes
    return episode.detected, episode.delay


FAULT_KINDS_BY_READING = [""] * 5 + ["offset"] * 4 + [""] * 8
"""Readings 5 to 8 are faulty, so windows 5 to 10 are."""


@pytest.mark.parametrize(
    ("called", "expected_found", "expected_delay"),
    [((5, 6, 7, 8, 9, 10), True, 0), ((7,), True, 2), ((10,), True, 5), ((), False, None)],
)
def test_delay_counts_readings(
    called: tuple[int, ...],
    expected_found: bool,  # noqa: FBT001, a parameter of the test
    expected_delay: int | None,
) -> None:
    """An episode is detected by any window with one of its readings; the delay counts from the first."""
    data = _data(FAULT_KINDS_BY_READING)
    metrics = compute_incident_metrics(data, _predict_faulty(data, *called), SAMPLE_PERIOD)
    assert _single_episode(metrics) == (expected_found, expected_delay)
    assert metrics.false_incident_count == 0


def test_an_alert_after_the_fault_does_not_find_it() -> None:
    """An incident on a window without a faulty reading is false, and the episode before it is missed."""
    data = _data(FAULT_KINDS_BY_READING)
    metrics = compute_incident_metrics(data, _predict_faulty(data, 11), SAMPLE_PERIOD)
    assert _single_episode(metrics) == (False, None)
    assert (metrics.incident_count, metrics.false_incident_count) == (1, 1)


def test_an_earlier_alert_gives_no_delay() -> None:
    """An episode that begins during a false incident has no delay; the incident stays false."""
    data = _data(FAULT_KINDS_BY_READING)
    metrics = compute_incident_metrics(data, _predict_faulty(data, 4, 5, 6), SAMPLE_PERIOD)
    assert _single_episode(metrics) == (True, None)
    assert (metrics.incident_count, metrics.false_incident_count) == (1, 1)


def test_incidents_end_as_the_monitors_do() -> None:
    """Two Normal windows leave an incident open, three close it, as in the monitor."""
    data = _data([""] * 20)
    assert compute_incident_metrics(data, _predict_faulty(data, 5, 8), SAMPLE_PERIOD).incident_count == 1
    assert compute_incident_metrics(data, _predict_faulty(data, 5, 9), SAMPLE_PERIOD).incident_count == 2


def test_calling_all_faulty_has_no_alert_of_its_own() -> None:
    """If all windows are predicted Faulty, all episodes are detected during one false incident."""
    data = _data(FAULT_KINDS_BY_READING)
    metrics = compute_incident_metrics(data, np.ones(len(data), dtype=bool), SAMPLE_PERIOD)
    assert _single_episode(metrics) == (True, None)
    assert metrics.false_incident_count == 1
    assert metrics.normal_share_under_alert == 1


def test_false_alarms_are_counted_by_the_day_and_group() -> None:
    """One false incident in 1/40 group-day (two groups together) is 40 per group and day."""
    data = _data([""] * 218, [""] * 218)
    predicted_faulty = _predict_faulty(data, 50) & (data.series_ids == 1)
    metrics = compute_incident_metrics(data, predicted_faulty, SAMPLE_PERIOD)
    assert metrics.group_days == pytest.approx(1 / 40)
    assert metrics.false_alarms_per_group_day == pytest.approx(40)


def test_groups_do_not_mix() -> None:
    """An incident of one group does not detect an episode of another group."""
    data = _data(FAULT_KINDS_BY_READING, [""] * len(FAULT_KINDS_BY_READING))
    predicted_faulty = _predict_faulty(data, 5, 6, 7) & (data.series_ids == 1)
    metrics = compute_incident_metrics(data, predicted_faulty, SAMPLE_PERIOD)
    assert _single_episode(metrics) == (False, None)
    assert metrics.false_incident_count == 1


def test_the_order_of_windows_does_not_matter() -> None:
    """Shuffled windows give the same result as sorted ones."""
    data = _data(FAULT_KINDS_BY_READING, FAULT_KINDS_BY_READING[::-1])
    called = _predict_faulty(data, 6, 12)
    order = np.random.default_rng(0).permutation(len(data))
    shuffled = Dataset(*(getattr(data, name)[order] for name in Dataset.__slots__))
    assert compute_incident_metrics(shuffled, called[order], SAMPLE_PERIOD) == compute_incident_metrics(
        data, called, SAMPLE_PERIOD
    )


def test_kinds_are_counted_apart() -> None:
    """Each episode is counted under its fault kind, also if another episode ended one reading before."""
    data = _data(["", "", "", "spike", "", "loss", "loss", "", "", "", ""])
    metrics = compute_incident_metrics(data, _predict_faulty(data, 6, 7), SAMPLE_PERIOD)
    assert metrics.detected_by_kind() == {"loss": (1, 1), "spike": (0, 1)}
    assert [episode.reading_count for episode in metrics.episodes] == [1, 2]


def test_a_recording_without_kinds() -> None:
    """In a recording without fault kinds, a run of Faulty windows is an episode."""
    data = _data(FAULT_KINDS_BY_READING, kinds=False)
    metrics = compute_incident_metrics(data, _predict_faulty(data, 6), SAMPLE_PERIOD)
    assert _single_episode(metrics) == (True, 1)
    assert compute_incident_metrics(data, _predict_faulty(data, 11), SAMPLE_PERIOD).detected_count == 0
    assert metrics.detected_by_kind() == {"unnamed": (1, 1)}


def test_delay_quantiles_are_delays_that_occurred() -> None:
    """Median and 95 % are delays that occurred, not interpolated; without any delay they are None."""
    data = _data(FAULT_KINDS_BY_READING, FAULT_KINDS_BY_READING, FAULT_KINDS_BY_READING)
    called_by_group = [
        _predict_faulty(data, position) & (data.series_ids == group)
        for group, position in enumerate((5, 6, 8))
    ]
    metrics = compute_incident_metrics(data, np.any(called_by_group, axis=0), SAMPLE_PERIOD)
    assert metrics.delays == [0, 1, 3]
    assert (metrics.delay_quantile(0.5), metrics.delay_quantile(0.95)) == (1, 3)
    assert compute_incident_metrics(data, _predict_faulty(data), SAMPLE_PERIOD).delay_quantile(0.5) is None
