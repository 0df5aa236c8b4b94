"""Finds stretches of a recording that look like faults, by rules without a network.

- A sensor of a pair deviates from its partner: their difference is further from its median than the accuracy
  of both sensors allows, and than six times its usual variation. A change in the plant changes both sensors.
- A sensor repeats one value ten times as long as its partner did in the same time.
- A value is outside what such a sensor can report.

Medians are valid while less than half of a recording is faulty. If two sensors differ the whole time by more
than the accuracy of both allows, the whole recording is suspicious.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.quantities import quantity_numbers
from training.data.features import FEATURE_NAMES, FEATURES
from training.data.recordings import complete_mask
from training.faults.fault_kinds import MEASURING_RANGES, MIN_SPREAD

__all__ = ["SuspiciousStretch", "find_suspicious"]

_SIGMA_FACTOR = 6
# Factor from the median absolute deviation (MAD) to the standard deviation of a normal distribution.
_MAD_TO_STD = 1.4826
_MIN_STUCK_READINGS = 30
_PARTNER_FACTOR = 10
# Suspicious readings that are no further apart than this many readings form one stretch.
_MAX_RUN_GAP = 12
# Readings before and after a stretch that are compared with it to find the sensor that changed.
_CONTEXT_READINGS = 60

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SuspiciousStretch:
    """Consecutive readings of a group that look like a fault."""

    group: str
    feature: str
    """The suspected sensor; both of the pair, as "a or b", if it can't be told which."""
    start_ts: float
    """Event time of the first reading, seconds since the Unix epoch."""
    end_ts: float
    """Event time of the last reading, likewise."""
    reading_count: int
    """Number of suspicious readings between them."""
    reason: str
    severity: float
    """By how many times the rule's limit is exceeded; at least 1."""


def find_suspicious(frame: pd.DataFrame) -> list[SuspiciousStretch]:
    """Return the suspicious stretches of a recording, the most suspicious first.

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
        for rows in _flagged_runs(excess > 0):
            max_excess = float(excess[rows].max())
            worst = values[rows, number][np.argmax(excess[rows])]
            reason = f"reads {worst:g} {feature.unit}, beyond {low:g} to {high:g}"
            yield _make_stretch(
                group, feature.name, ts, rows, reason, 1 + max_excess / MIN_SPREAD[feature.unit]
            )
    for column, partner_column in _sensor_pairs():
        yield from _find_divergence(group, ts, values, column, partner_column)
        yield from _find_stuck(group, ts, values, column, partner_column)
        yield from _find_stuck(group, ts, values, partner_column, column)


def _sensor_pairs() -> list[tuple[int, int]]:
    """Return the columns of each pair of sensors."""
    numbers = quantity_numbers(FEATURE_NAMES)
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
    accuracy = MIN_SPREAD[unit] / 2  # of one sensor, by its data sheet
    limit = max(accuracy, _SIGMA_FACTOR * sigma)
    # A constant difference of two healthy sensors is at most this large.
    deviation = difference - np.clip(median_difference, -2 * accuracy, 2 * accuracy)
    for rows in _flagged_runs(np.abs(deviation) > limit):
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
    """Return the name of the sensor that changed more in these rows than its partner, and the partner's."""
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
    for begin, end in _constant_runs(values[:, column]):
        length = end - begin
        if length < _MIN_STUCK_READINGS:
            continue
        longest = max(stop - start for start, stop in _constant_runs(values[begin:end, partner_column]))
        if length >= _PARTNER_FACTOR * longest:
            value = f"{values[begin, column]:g} {FEATURES[column].unit}"
            reason = f"reads {value} all the time; {FEATURE_NAMES[partner_column]} moves"
            rows = np.arange(begin, end)
            yield _make_stretch(
                group, FEATURE_NAMES[column], ts, rows, reason, length / (_PARTNER_FACTOR * longest)
            )


def _constant_runs(column: FloatArray) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each run of equal values (reading,)."""
    changes = np.flatnonzero(np.diff(column)) + 1
    edges = np.concatenate([[0], changes, [len(column)]]).tolist()
    yield from pairwise(edges)


def _flagged_runs(flags: BoolArray) -> list[NDArray[np.intp]]:
    """Return the indices of flagged readings (reading,), as one array for each stretch."""
    rows = np.flatnonzero(flags)
    return np.split(rows, np.flatnonzero(np.diff(rows) > _MAX_RUN_GAP) + 1) if len(rows) else []


def _make_stretch(
    group: str, feature: str, ts: FloatArray, rows: NDArray[np.intp], reason: str, severity: float
) -> SuspiciousStretch:
    return SuspiciousStretch(
        group, feature, float(ts[rows[0]]), float(ts[rows[-1]]), len(rows), reason, severity
    )
