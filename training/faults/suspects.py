"""Finds stretches of a recording that look like faults, by fixed rules (without a trained model).

Sensors that measure the same quantity are neighbours. A stretch is suspicious in these cases:

- The difference between a sensor and its neighbour, or, of three and more, between a sensor and their median,
  deviates from its usual value by more than the accuracy of a sensor, and by more than six times its usual
  variation (a robust standard deviation). A change in the plant affects all neighbours and does not change
  their difference.
- A sensor repeats one value at least ten times as long as any of its neighbours did in the same time.
- A value is outside the measuring range of the sensor.

The medians are valid if less than half of a recording is faulty. If two sensors differ all the time by more
than the accuracies of both together, the whole recording is suspicious. A sensor without a neighbour is only
compared with its measuring range.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitor.bundle import Feature
from monitor.core.arrays import FloatArray
from monitor.core.quantities import find_neighbours
from monitor.detect.checks.flat import MIN_SAMPLES
from training.data.features import describe_sensor
from training.data.recordings import complete_mask

__all__ = ["SuspiciousStretch", "find_suspicious"]

# Minimum deviation of the difference, in robust standard deviations of the difference.
_SIGMA_FACTOR = 6
# Factor from the median absolute deviation (MAD) to the standard deviation of a normal distribution.
_MAD_TO_STD = 1.4826
# Minimum ratio of a run of equal values, of at least `MIN_SAMPLES`, to the longest run of a neighbour. The
# monitor's check `flat` compares the value with moves of the neighbours, which takes hours. Here a recording
# of half an hour must do, and nobody is woken by a stretch that turns out to be none.
_NEIGHBOUR_FACTOR = 10
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


@dataclass(frozen=True, slots=True, eq=False)
class _GroupReadings:
    """The complete readings of one group, ordered by time."""

    group: str
    features: Sequence[Feature]
    ts: FloatArray
    """Event times, seconds since the Unix epoch: (reading,)."""
    by_feature: FloatArray
    """Values: (reading, feature)."""

    def make_stretch(
        self, feature: str, rows: NDArray[np.intp], reason: str, severity: float
    ) -> SuspiciousStretch:
        """Return the stretch of these readings."""
        start, end = self.ts[rows[[0, -1]]].tolist()
        return SuspiciousStretch(self.group, feature, start, end, len(rows), reason, severity)


def find_suspicious(frame: pd.DataFrame, features: Sequence[Feature]) -> list[SuspiciousStretch]:
    """Return the suspicious stretches of a recording, in descending order of severity.

    Parameters
    ----------
    frame : a recording as `recordings.read` returns it. Readings with an empty cell are ignored.
    features : the features of the recording.
    """
    names = [feature.name for feature in features]
    found: list[SuspiciousStretch] = []
    for group, group_frame in frame[complete_mask(frame, names)].groupby("group", sort=True):
        ordered = group_frame.sort_values("ts", kind="stable")
        readings = _GroupReadings(str(group), features, ordered["ts"].to_numpy(), ordered[names].to_numpy())
        found += _find_in_group(readings)
    return sorted(found, key=lambda stretch: -stretch.severity)


def _find_in_group(readings: _GroupReadings) -> Iterator[SuspiciousStretch]:
    quantities = [feature.measured_quantity for feature in readings.features]
    for column in range(len(quantities)):
        yield from _find_out_of_range(readings, column)
    for column in range(len(quantities)):
        neighbours = find_neighbours(quantities, column)
        is_pair = len(neighbours) == 1
        if is_pair and column < neighbours[0]:  # the difference of a pair is looked at once
            yield from _find_pair_divergence(readings, column, neighbours[0])
        elif len(neighbours) > 1:
            yield from _find_divergence_from_median(readings, column, neighbours)
        if neighbours:
            yield from _find_stuck(readings, column, neighbours)


def _find_out_of_range(readings: _GroupReadings, column: int) -> Iterator[SuspiciousStretch]:
    feature, values = readings.features[column], readings.by_feature[:, column]
    sensor = describe_sensor(feature)
    low, high = sensor.measuring_range
    excess = np.maximum(low - values, values - high)  # (reading,)
    for rows in _group_flagged_rows(excess > 0):
        worst = values[rows][np.argmax(excess[rows])]
        reason = f"reads {worst:g} {feature.unit}, beyond {low:g} to {high:g}"
        severity = 1 + float(excess[rows].max()) / (2 * sensor.accuracy)
        yield readings.make_stretch(feature.name, rows, reason, severity)


def _find_pair_divergence(
    readings: _GroupReadings, column: int, partner_column: int
) -> Iterator[SuspiciousStretch]:
    difference = readings.by_feature[:, column] - readings.by_feature[:, partner_column]  # (reading,)
    for rows, worst, severity in _find_deviations(difference, readings.features[column]):
        suspect, partner = _identify_sensor(readings, rows, column, partner_column)
        above = worst > 0 if suspect != readings.features[partner_column].name else worst < 0
        yield readings.make_stretch(
            suspect,
            rows,
            _describe_deviation(partner, worst, readings.features[column], above=above),
            severity,
        )


def _find_divergence_from_median(
    readings: _GroupReadings, column: int, neighbours: Sequence[int]
) -> Iterator[SuspiciousStretch]:
    # The median of all of them, this sensor included: that of the others would move if one of two others did.
    median = np.median(readings.by_feature[:, [column, *neighbours]], axis=1)  # (reading,)
    feature = readings.features[column]
    for rows, worst, severity in _find_deviations(readings.by_feature[:, column] - median, feature):
        reason = _describe_deviation("its neighbours", worst, feature, above=worst > 0)
        yield readings.make_stretch(feature.name, rows, reason, severity)


def _find_deviations(
    difference: FloatArray, feature: Feature
) -> Iterator[tuple[NDArray[np.intp], float, float]]:
    """Yield rows, largest deviation and severity of each stretch in which a difference is unusual.

    Parameters
    ----------
    difference : between a sensor and what it is compared with (reading,).
    """
    median_difference = float(np.median(difference))
    sigma = _MAD_TO_STD * float(np.median(np.abs(difference - median_difference)))
    accuracy = describe_sensor(feature).accuracy
    limit = max(accuracy, _SIGMA_FACTOR * sigma)
    # The constant difference of two healthy sensors is at most the sum of their accuracies.
    deviation = difference - np.clip(median_difference, -2 * accuracy, 2 * accuracy)
    for rows in _group_flagged_rows(np.abs(deviation) > limit):
        worst = float(deviation[rows][np.argmax(np.abs(deviation[rows]))])
        yield rows, worst, abs(worst) / limit


def _describe_deviation(other: str, worst: float, feature: Feature, *, above: bool) -> str:
    return f"{'above' if above else 'below'} {other} by {abs(worst):.3g} {feature.unit} more than usual"


def _identify_sensor(
    readings: _GroupReadings, rows: NDArray[np.intp], column: int, partner_column: int
) -> tuple[str, str]:
    """Return the names of the suspected sensor and its partner.

    The suspected sensor is the one whose median differs more between the stretch and the readings around it.
    """
    begin, end = int(rows[0]), int(rows[-1]) + 1
    context_rows = np.r_[
        max(0, begin - _CONTEXT_READINGS) : begin, end : min(len(readings.ts), end + _CONTEXT_READINGS)
    ]
    name, partner = readings.features[column].name, readings.features[partner_column].name
    if not len(context_rows):
        return f"{name} or {partner}", "its partner"
    pair = readings.by_feature[:, [column, partner_column]]
    median_changes = np.abs(
        np.median(pair[rows], axis=0) - np.median(pair[context_rows], axis=0)
    )  # (sensor,)
    return (name, partner) if median_changes[0] >= median_changes[1] else (partner, name)


def _find_stuck(
    readings: _GroupReadings, column: int, neighbours: Sequence[int]
) -> Iterator[SuspiciousStretch]:
    feature = readings.features[column]
    for begin, end in _find_constant_runs(readings.by_feature[:, column]):
        length = end - begin
        if length < MIN_SAMPLES:
            continue
        longest = max(
            stop - start
            for neighbour in neighbours
            for start, stop in _find_constant_runs(readings.by_feature[begin:end, neighbour])
        )
        if length >= _NEIGHBOUR_FACTOR * longest:
            value = f"{readings.by_feature[begin, column]:g} {feature.unit}"
            moving = " and ".join(readings.features[neighbour].name for neighbour in neighbours)
            reason = f"reads {value} all the time; {moving} {'moves' if len(neighbours) == 1 else 'move'}"
            severity = length / (_NEIGHBOUR_FACTOR * longest)
            yield readings.make_stretch(feature.name, np.arange(begin, end), reason, severity)


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
