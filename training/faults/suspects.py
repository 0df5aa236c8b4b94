"""Finds stretches of a recording that look like faults, by fixed rules (without a trained model).

The two sensors of a pair, called partners, measure the same quantity. A stretch is suspicious in these cases:

- The difference between a sensor and its partner deviates from the median difference by more than the
  accuracy of a sensor, and by more than six times the usual variation of the difference (a robust standard
  deviation). A change in the plant affects both sensors and does not change their difference.
- A sensor repeats one value at least ten times as long as its partner did in the same time.
- A value is outside the measuring range of the sensor.

The medians are valid if less than half of a recording is faulty. If two sensors differ all the time by more
than the accuracies of both together, the whole recording is suspicious.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.quantities import quantity_numbers
from training.data.features import FEATURE_NAMES, FEATURES, QUANTITIES
from training.data.recordings import complete_mask
from training.faults.fault_kinds import MEASURING_RANGES, MIN_ROBUST_STD

__all__ = ["SuspiciousStretch", "find_suspicious"]

# Minimum deviation of the difference, in robust standard deviations of the difference.
_SIGMA_FACTOR = 6
# Factor from the median absolute deviation (MAD) to the standard deviation of a normal distribution.
_MAD_TO_STD = 1.4826
# Minimum number of equal values, and their minimum ratio to the longest run of equal values of the partner.
_MIN_STUCK_READINGS = 30
_PARTNER_FACTOR = 10
# Suspicious readings that are at most this many readings apart form one stretch.
_MAX_RUN_GAP = 12
# Number of readings before and after a stretch with which it is compared to identify the faulty sensor.
_CONTEXT_READINGS = 60

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SuspiciousStretch:
    """A period of a group's recording that looks like a fault."""

    group: str
    feature: str
    """Name of the suspected sensor; "a or b" with the names of both if the sensor cannot be identified."""
    start_ts: float
    """Event time of the first reading, seconds since the Unix epoch."""
    end_ts: float
    """Event time of the last reading, seconds since the Unix epoch."""
    reading_count: int
    """Number of suspicious readings from `start_ts` to `end_ts`."""
    reason: str
    severity: float
    """By how much the limit of the rule is exceeded; 1 at the limit, larger for more severe deviations."""


def find_suspicious(frame: pd.DataFrame) -> list[SuspiciousStretch]:
    """Return the suspicious stretches of a recording, in descending order of severity.

    Parameters
    ----------
    frame : a recording as `recordings.read` returns it. Readings with an empty cell are ignored.
    """
    found: list[SuspiciousStretch] = []
    for group, group_frame in frame[complete_mask(frame)].groupby("group", sort=True):
        ordered = group_frame.sort_values("ts", kind="stable")
        found += _find_in_group(str(group), ordered["ts"].to_numpy(), ordered[FEATURE_NAMES].to_numpy())
    return sorted(found, key=lambda stretch: -stretch.severity)


def _find_in_group(group: str, ts: FloatArray, values: FloatArray) -> Iterator[SuspiciousStretch]:
    for number, feature in enumerate(FEATURES):
        low, high = MEASURING_RANGES[feature.unit]
        excess = np.maximum(low - values[:, number], values[:, number] - high)  # (reading,)
        for rows in _group_flagged_rows(excess > 0):
            max_excess = float(excess[rows].max())
            worst = values[rows, number][np.argmax(excess[rows])]
            reason = f"reads {worst:g} {feature.unit}, beyond {low:g} to {high:g}"
            yield _make_stretch(
                group, feature.name, ts, rows, reason, 1 + max_excess / MIN_ROBUST_STD[feature.unit]
            )
    for column, partner_column in _list_sensor_pairs():
        yield from _find_divergence(group, ts, values, column, partner_column)
        yield from _find_stuck(group, ts, values, column, partner_column)
        yield from _find_stuck(group, ts, values, partner_column, column)


def _list_sensor_pairs() -> list[tuple[int, int]]:
    """Return the column indices of each pair of sensors."""
    numbers = quantity_numbers(QUANTITIES)
    return [
        (int(columns[0]), int(columns[1]))
        for columns in (np.flatnonzero(numbers == p) for p in np.unique(numbers))
    ]


def _find_divergence(
    group: str, ts: FloatArray, values: FloatArray, column: int, partner_column: int
) -> Iterator[SuspiciousStretch]:
    unit = FEATURES[column].unit
    difference = values[:, column] - values[:, partner_column]  # (reading,)
    median_difference = float(np.median(difference))
    sigma = _MAD_TO_STD * float(np.median(np.abs(difference - median_difference)))
    accuracy = MIN_ROBUST_STD[unit] / 2  # of one sensor, from its data sheet
    limit = max(accuracy, _SIGMA_FACTOR * sigma)
    # The constant difference of two healthy sensors is at most the sum of their accuracies.
    deviation = difference - np.clip(median_difference, -2 * accuracy, 2 * accuracy)
    for rows in _group_flagged_rows(np.abs(deviation) > limit):
        worst = float(deviation[rows][np.argmax(np.abs(deviation[rows]))])
        name, partner = _identify_sensor(values, rows, column, partner_column)
        sign = 1 if name == FEATURE_NAMES[column] else -1
        reason = (
            f"{'above' if sign * worst > 0 else 'below'} {partner} by {abs(worst):.3g} {unit} more than usual"
        )
        yield _make_stretch(group, name, ts, rows, reason, abs(worst) / limit)


def _identify_sensor(
    values: FloatArray, rows: NDArray[np.intp], column: int, partner_column: int
) -> tuple[str, str]:
    """Return the names of the suspected sensor and its partner.

    The suspected sensor is the one whose median differs more between the stretch and the readings around it.
    """
    begin, end = int(rows[0]), int(rows[-1]) + 1
    context_rows = np.r_[
        max(0, begin - _CONTEXT_READINGS) : begin, end : min(len(values), end + _CONTEXT_READINGS)
    ]
    if not len(context_rows):
        return f"{FEATURE_NAMES[column]} or {FEATURE_NAMES[partner_column]}", "its partner"
    pair = values[:, [column, partner_column]]
    median_changes = np.abs(
        np.median(pair[rows], axis=0) - np.median(pair[context_rows], axis=0)
    )  # (sensor,)
    return (
        (FEATURE_NAMES[column], FEATURE_NAMES[partner_column])
        if median_changes[0] >= median_changes[1]
        else (FEATURE_NAMES[partner_column], FEATURE_NAMES[column])
    )


def _find_stuck(
    group: str, ts: FloatArray, values: FloatArray, column: int, partner_column: int
) -> Iterator[SuspiciousStretch]:
    for begin, end in _find_constant_runs(values[:, column]):
        length = end - begin
        if length < _MIN_STUCK_READINGS:
            continue
        longest = max(stop - start for start, stop in _find_constant_runs(values[begin:end, partner_column]))
        if length >= _PARTNER_FACTOR * longest:
            value = f"{values[begin, column]:g} {FEATURES[column].unit}"
            reason = f"reads {value} all the time; {FEATURE_NAMES[partner_column]} moves"
            rows = np.arange(begin, end)
            yield _make_stretch(
                group, FEATURE_NAMES[column], ts, rows, reason, length / (_PARTNER_FACTOR * longest)
            )


def _find_constant_runs(column: FloatArray) -> Iterator[tuple[int, int]]:
    """Yield the first index of each run of equal values and the index after its last.

    Parameters
    ----------
    column : values of one feature (reading,).
    """
    changes = np.flatnonzero(np.diff(column)) + 1
    edges = np.concatenate([[0], changes, [len(column)]]).tolist()
    yield from pairwise(edges)


def _group_flagged_rows(flags: BoolArray) -> list[NDArray[np.intp]]:
    """Return an array with the indices of the flagged readings for each stretch.

    Parameters
    ----------
    flags : whether each reading is suspicious (reading,).
    """
    rows = np.flatnonzero(flags)
    return np.split(rows, np.flatnonzero(np.diff(rows) > _MAX_RUN_GAP) + 1) if len(rows) else []


def _make_stretch(
    group: str, feature: str, ts: FloatArray, rows: NDArray[np.intp], reason: str, severity: float
) -> SuspiciousStretch:
    return SuspiciousStretch(
        group, feature, float(ts[rows[0]]), float(ts[rows[-1]]), len(rows), reason, severity
    )
