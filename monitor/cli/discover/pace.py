"""Proposes the settings of alignment from how often values came and how they changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from monitor.cli.discover.candidates import Candidate
from monitor.cli.discover.statistics import Series

__all__ = ["Pace", "propose_pace"]

_NICE_PERIODS = (
    0.1,
    0.2,
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    20.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    900.0,
    1800.0,
    3600.0,
)
_MAX_AGE_FACTOR = 1.5
_MIN_MAX_AGE_PERIODS = 3
_MAX_WAIT_S, _WAIT_PERIODS = 5.0, 3
# Changes that must have been seen before their size says something.
_MIN_CHANGES = 5


@dataclass(frozen=True, slots=True)
class Pace:
    """Settings of `[input.align]`, each None if nothing was seen that decides it."""

    period: float | None
    wait: float
    max_age: float | None
    deadband: Mapping[str, float]
    notes: Sequence[str]
    slowest: float = 0.0
    """The longest usual interval of a value, seconds."""


def propose_pace(assignments: Iterable[Mapping[str, Candidate]], seconds: float) -> Pace:
    """Return the pace of groups.

    Parameters
    ----------
    assignments : for each group the candidate of each feature.
    seconds : for how long messages were waited for.
    """
    by_feature: dict[str, list[Series]] = {}
    for features in assignments:
        for name, candidate in features.items():
            by_feature.setdefault(name, []).append(candidate.series)
    series = [one for members in by_feature.values() for one in members]
    intervals = [usual for one in series if (usual := one.intervals.median) is not None]
    notes = []
    rare = sum(one.intervals.median is None for one in series)
    if rare:
        notes.append(
            f"{rare} of {len(series)} values came once in {seconds:.0f} s: their interval isn't known, "
            "listen longer (--seconds), or set max_age to 1.5 times it"
        )
    if not intervals:
        return Pace(None, _MAX_WAIT_S, None, {}, notes)
    period = _choose_period(median(intervals))
    longest = max(one.intervals.longest for one in series)
    max_age = float(ceil(10 * max(_MAX_AGE_FACTOR * longest, _MIN_MAX_AGE_PERIODS * period)) / 10)
    changing = {name: change for name, members in by_feature.items() if (change := _deadband(members))}
    if changing:
        notes.append(
            f"{', '.join(changing)} never came unchanged: devices that report changes only need a "
            "max_age of 1.5 times their heartbeat, which may be longer than what was seen"
        )
    wait = round(min(_MAX_WAIT_S, _WAIT_PERIODS * period), 3)
    return Pace(period, wait, None if rare else max_age, changing, notes, max(intervals))


def _choose_period(interval: float) -> float:
    """Return a usual period near an interval in seconds."""
    return min(_NICE_PERIODS, key=lambda period: abs(period - interval) / period)


def _deadband(members: Sequence[Series]) -> float | None:
    """Return the smallest change that devices reported, if they report nothing but changes."""
    if any(one.repeated or one.count <= _MIN_CHANGES or one.smallest_change is None for one in members):
        return None
    smallest = max(one.smallest_change or 0.0 for one in members)
    return float(f"{smallest:.3g}")
