"""Finds sensors that leave their neighbours over days.

The baseline's memory is short, so it follows a slow change. This one is slow, and counts days, not readings:
the mean distance of a sensor from its neighbours over each day, in which the daily course cancels. The median
of the last seven days is compared with the level before them, which 14 days or more have taught. The sensor
has drifted if the two differ by more than three standard deviations of the distance, and by more than what
two healthy sensors may come apart with the season.

One sample an hour is taken: the median of a window, so that no single reading counts. A day counts if 18 of
its hours have one. Half of the way to a drift the level learns a quarter of what
it does otherwise, so a drift does not teach it; a distance that stays is the usual one after half a year.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.medians import median_high
from monitor.core.quantities import Quantities
from monitor.detect.checks.sensors import Sensors
from monitor.detect.checks.state import DAYS_KEPT

__all__ = ["DriftRule", "describe"]

_HOUR_S = 3600.0
_HOURS_PER_DAY = 24
_MIN_HOURS = 18
_MIN_LEARNT_DAYS = 14
# The level and the spread are means over this many days, once there are so many. With a longer memory two
# healthy rooms of a house came as close to a drift as with this one.
_MEMORY_DAYS, _SUSPECTED_MEMORY_DAYS = 60.0, 240.0
# A drift is larger than 3 standard deviations of the distance and than 5 accuracies (2 degC, 15 %RH): with
# the season two healthy rooms came apart by 1.6 degC. After n days it must be larger by the factor 1 + 2 / n.
_MIN_SPREADS, _MIN_ACCURACIES, _FIRST_DAYS_GROWTH = 3.0, 5.0, 2.0
# A drift ends, and is suspected, at half of that.
_SUSPECTED_SHARE = 0.5


class DriftRule:
    """Updates the records of groups with a sample.

    Parameters
    ----------
    sensors : the sensors of a group.
    quantities : the quantities of the features.
    """

    def __init__(self, sensors: Sensors, quantities: Quantities) -> None:
        self._quantities = quantities
        is_pair = np.array([len(sensors.neighbours[index]) == 1 for index in quantities.representatives])
        # The deviation of a pair's sensor from the middle of the pair is half of their distance.
        self._scale = np.where(is_pair, 2.0, 1.0)  # (representative,)
        self._min_drift = np.where(
            quantities.has_neighbours, _MIN_ACCURACIES * sensors.accuracy[quantities.representatives], np.inf
        )

    def update(self, records: NDArray[Any], ts: FloatArray, windows: FloatArray) -> None:
        """Update records of distinct groups (group,) in place with the newest window of each.

        Parameters
        ----------
        ts : event time of the newest reading (group,).
        windows : raw values (group, step, feature).
        """
        hours = ts // _HOUR_S
        due = (hours != records["hour"]).nonzero()[0]
        if len(due):
            sampled = records.take(due)
            self._add_samples(sampled, hours[due], windows.take(due, axis=0))
            records.put(due, sampled)

    def _add_samples(self, records: NDArray[Any], hours: FloatArray, windows: FloatArray) -> None:
        """Add a sample to records (group,) whose last one is of another hour.

        Parameters
        ----------
        hours : hour of the sample since the Unix epoch (group,).
        windows : raw values (group, step, feature).
        """
        ended = (hours // _HOURS_PER_DAY != records["hour"] // _HOURS_PER_DAY).nonzero()[0]
        if len(ended):
            records[ended] = self._end_day(records[ended])
        values = median_high(windows.swapaxes(0, 1))  # (group, feature)
        distance = self._scale * self._quantities.deviations(values)  # (group, representative)
        first = np.where(records["samples_today"][:, None] == 0, distance, records["first"])
        change = distance - first
        records["hour"], records["first"] = hours, first
        records["sum"] += change
        records["square_sum"] += change * change
        records["samples_today"] += 1

    def _end_day(self, records: NDArray[Any]) -> NDArray[Any]:
        """Return records (group,) after the end of their day."""
        complete = (records["samples_today"] >= _MIN_HOURS).nonzero()[0]
        if len(complete):
            records[complete] = self._learn_day(records[complete])
        for field in ("samples_today", "sum", "square_sum"):
            records[field] = 0
        return records

    def _learn_day(self, records: NDArray[Any]) -> NDArray[Any]:
        """Return records (group,) that have learnt their complete day."""
        count = records["samples_today"][:, None].astype(np.float64)
        shift = records["sum"] / count
        mean = records["first"] + shift  # (group, representative)
        variance = np.maximum(records["square_sum"] / count - shift * shift, 0)
        days = records["days"].astype(np.intp)
        groups, slot = np.arange(len(records)), days % DAYS_KEPT
        oldest = records["means"][groups, slot].astype(np.float64)
        records["means"][groups, slot] = mean
        records["days"] = days + 1
        learnt = (days - DAYS_KEPT)[:, None]  # days that taught the level before the oldest one
        self._learn_level(records, learnt, oldest, variance)
        recent = np.median(records["means"], axis=1)
        least = np.maximum(_MIN_SPREADS * records["spread"], self._min_drift) * (
            1 + _FIRST_DAYS_GROWTH / np.maximum(learnt + 1, 1)
        )
        share = np.abs(recent - records["level"]) / least
        is_known = learnt + 1 >= _MIN_LEARNT_DAYS
        records["suspected"] = is_known & (share >= _SUSPECTED_SHARE)
        records["drifted"] = records["suspected"] & (records["drifted"] | (share > 1))
        return records

    def _learn_level(
        self, records: NDArray[Any], learnt: IndexArray, oldest: FloatArray, variance: FloatArray
    ) -> None:
        """Teach the level the day that leaves the last ones, where there is one.

        Parameters
        ----------
        learnt : number of days that taught the level before (group, 1); negative: the last days aren't full.
        oldest : mean of the day that leaves (group, representative).
        variance : of the newest day (group, representative).
        """
        level, spread = records["level"].astype(np.float64), records["spread"].astype(np.float64)
        memory = np.where(records["suspected"], _SUSPECTED_MEMORY_DAYS, _MEMORY_DAYS)
        weight = np.where(learnt < 0, 0, 1 / np.clip(learnt + 1, 1, memory))
        weight = np.where(records["suspected"], 1 / _SUSPECTED_MEMORY_DAYS, weight)
        is_first = learnt == 0
        change = np.where(is_first, 0, oldest - level)
        day_spread = np.sqrt(variance + change * change)
        spread_weight = np.where(records["suspected"], 0, weight)
        records["spread"] = spread + spread_weight * (day_spread - spread)
        records["level"] = np.where(is_first, oldest, level + weight * change)


def describe(sensors: Sensors, record: Any, representatives: IndexArray) -> str:
    """Return in words which sensor of a group has drifted.

    Parameters
    ----------
    record : of the group.
    representatives : feature index of each representative (representative,).
    """
    number = int(record["drifted"].argmax())
    feature = sensors.features[representatives[number]]
    recent, level = float(np.median(record["means"][:, number])), float(record["level"][number])
    others = sensors.describe_neighbours(int(representatives[number]))
    # As many digits as the sensor's accuracy allows for: 0.4 degC, 3 %RH.
    digits = max(0, -math.floor(math.log10(sensors.accuracy[representatives[number]])))
    now, usually = (
        f"{abs(distance):.{digits}f} {feature.unit} {'more' if distance >= 0 else 'less'}"
        for distance in (recent, level)
    )
    return (
        f"{feature.name} and {others} have come apart over days: {feature.name} reads {now}, "
        f"usually {usually}"
    )
