"""Stretches of a recording that look like faults, by rules that know nothing of any network.

- A sensor of a pair that leaves its partner: their difference is further from its median than the accuracy of
  both and than six times what it does anyway. A plant that moves, moves both.
- A sensor that repeats one value ten times as long as its partner did in the same time.
- A value that no such sensor can report.

Medians hold while less than half of a recording is faulty; where two sensors are apart the whole time, by
more than both are allowed to be wrong, all of it is suspicious.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.quantities import quantity_numbers
from training.data.recordings import FEATURES, NAMES, complete
from training.faults.kinds import LEAST_SPREAD, LIMITS

__all__ = ["Stretch", "find"]

_TIMES_SIGMA = 6
# The median of the distance from the median, as a standard deviation.
_MAD = 1.4826
_FEWEST_EQUAL = 30
_TIMES_PARTNER = 10
# What is no further apart is one stretch, in readings.
_NEAR = 12
# Readings before and after a stretch that tell which sensor of the pair moved.
_CONTEXT = 60

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some readings of a group that follow each other."""

    group: str
    feature: str
    """The sensor that is suspected; both where it can't be told which."""
    begin: float
    """Event time of the first, seconds since the Unix epoch."""
    end: float
    """Event time of the last."""
    readings: int
    """How many of them are suspicious."""
    why: str
    size: float
    """How many times further than what is let pass; at least 1."""


def find(frame: pd.DataFrame) -> list[Stretch]:
    """Return the suspicious stretches of a recording, the most suspicious first.

    Parameters
    ----------
    frame : a recording as `recordings.read` returns it. Readings with an empty cell aren't looked at.
    """
    found: list[Stretch] = []
    for group, own in frame[complete(frame)].groupby("group", sort=True):
        ordered = own.sort_values("ts", kind="stable")
        found += _in_group(str(group), ordered["ts"].to_numpy(), ordered[NAMES].to_numpy())
    return sorted(found, key=lambda stretch: -stretch.size)


def _in_group(group: str, ts: FloatArray, values: FloatArray) -> Iterator[Stretch]:
    for number, feature in enumerate(FEATURES):
        low, high = LIMITS[feature.unit]
        beyond = np.maximum(low - values[:, number], values[:, number] - high)  # (reading,)
        for rows in _runs(beyond > 0):
            most = float(beyond[rows].max())
            worst = values[rows, number][np.argmax(beyond[rows])]
            why = f"reads {worst:g} {feature.unit}, beyond {low:g} to {high:g}"
            yield _stretch(group, feature.name, ts, rows, why, 1 + most / LEAST_SPREAD[feature.unit])
    for one, other in _partners():
        yield from _leaving(group, ts, values, one, other)
        yield from _stuck(group, ts, values, one, other)
        yield from _stuck(group, ts, values, other, one)


def _partners() -> list[tuple[int, int]]:
    """Return the columns of each pair."""
    of = quantity_numbers(NAMES)
    return [
        (int(columns[0]), int(columns[1])) for columns in (np.flatnonzero(of == p) for p in np.unique(of))
    ]


def _leaving(group: str, ts: FloatArray, values: FloatArray, one: int, other: int) -> Iterator[Stretch]:
    unit = FEATURES[one].unit
    apart = values[:, one] - values[:, other]  # (reading,)
    middle = float(np.median(apart))
    sigma = _MAD * float(np.median(np.abs(apart - middle)))
    accuracy = LEAST_SPREAD[unit] / 2  # of one sensor, as its maker promises it
    limit = max(accuracy, _TIMES_SIGMA * sigma)
    # Two good sensors are at most so far apart for good.
    left = apart - np.clip(middle, -2 * accuracy, 2 * accuracy)
    for rows in _runs(np.abs(left) > limit):
        worst = float(left[rows][np.argmax(np.abs(left[rows]))])
        name, partner = _moved(values, rows, one, other)
        sign = 1 if name == NAMES[one] else -1
        why = (
            f"{'above' if sign * worst > 0 else 'below'} {partner} by {abs(worst):.3g} {unit} more than usual"
        )
        yield _stretch(group, name, ts, rows, why, abs(worst) / limit)


def _moved(values: FloatArray, rows: NDArray[np.intp], one: int, other: int) -> tuple[str, str]:
    """Return the sensor that moved within these rows, and its partner."""
    begin, end = int(rows[0]), int(rows[-1]) + 1
    around = np.r_[max(0, begin - _CONTEXT) : begin, end : min(len(values), end + _CONTEXT)]
    if not len(around):
        return f"{NAMES[one]} or {NAMES[other]}", "its partner"
    pair = values[:, [one, other]]
    moves = np.abs(np.median(pair[rows], axis=0) - np.median(pair[around], axis=0))  # (sensor,)
    return (NAMES[one], NAMES[other]) if moves[0] >= moves[1] else (NAMES[other], NAMES[one])


def _stuck(group: str, ts: FloatArray, values: FloatArray, one: int, other: int) -> Iterator[Stretch]:
    for begin, end in _equal(values[:, one]):
        length = end - begin
        if length < _FEWEST_EQUAL:
            continue
        longest = max(stop - start for start, stop in _equal(values[begin:end, other]))
        if length >= _TIMES_PARTNER * longest:
            why = f"reads {values[begin, one]:g} {FEATURES[one].unit} all the time; {NAMES[other]} moves"
            rows = np.arange(begin, end)
            yield _stretch(group, NAMES[one], ts, rows, why, length / (_TIMES_PARTNER * longest))


def _equal(column: FloatArray) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each run of one value (reading,)."""
    changes = np.flatnonzero(np.diff(column)) + 1
    edges = np.concatenate([[0], changes, [len(column)]]).tolist()
    yield from pairwise(edges)


def _runs(flags: Flags) -> list[NDArray[np.intp]]:
    """Return the flagged readings (reading,), those near each other together."""
    rows = np.flatnonzero(flags)
    return np.split(rows, np.flatnonzero(np.diff(rows) > _NEAR) + 1) if len(rows) else []


def _stretch(
    group: str, feature: str, ts: FloatArray, rows: NDArray[np.intp], why: str, size: float
) -> Stretch:
    return Stretch(group, feature, float(ts[rows[0]]), float(ts[rows[-1]]), len(rows), why, size)
