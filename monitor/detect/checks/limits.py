"""Finds values that their sensors can't have, and sensors that stand at the end of their range.

A value is impossible if it is beyond the limits of its feature, or equal to a sentinel: a number that the
sensor sends in place of a value, such as 85 degC of a DS18B20 that has not measured yet. No model is needed
to find it, and a model with a baseline can't: two sensors that both read -127 degC do not differ.

A humidity sensor stands at the low end of its range if two readings in succession are there while its
neighbours are far away. No healthy sensor does that: in four and a half months of a house, two readings in
succession at or below 1 %RH were the fault of the outdoor sensor each time, with its neighbour 23 %RH above
or more. Only humidity is looked at: of two flows, currents or levels one may be 0 and the other not.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray, IndexArray
from monitor.detect.checks.sensors import Sensors

__all__ = ["LimitsRule"]

_Mask = NDArray[np.bool_]

_NO_WINDOWS: IndexArray = np.empty(0, dtype=np.intp)
_RELATIVE_TOLERANCE = 1e-6  # of a sentinel: values may have been scaled, or sent with few digits


class LimitsRule:
    """Finds impossible values, and values at the end of a range.

    Parameters
    ----------
    sensors : the sensors of a group.
    sentinels : feature name -> numbers that its sensor sends in place of a value.
    """

    def __init__(self, sensors: Sensors, sentinels: Mapping[str, Sequence[float]]) -> None:
        self._sensors = sensors
        names = [feature.name for feature in sensors.features]
        self._sentinels = [
            (names.index(name), number) for name, numbers in sentinels.items() for number in numbers
        ]
        # No value from here to `high` can be impossible or at the end of a range, except for sentinels.
        self._lowest_usual = np.maximum(sensors.low, np.nextafter(sensors.low_end, np.inf))  # (feature,)

    def find_unusual(self, windows: FloatArray) -> IndexArray:
        """Return which windows (window, step, feature) the methods below must look at: (unusual,)."""
        unusual = (windows < self._lowest_usual) | (windows > self._sensors.high)
        for index, number in self._sentinels:
            unusual[:, :, index] |= _is_sentinel(windows[:, :, index], number)
        if not unusual.any():  # a tenth of the time of the next line
            return _NO_WINDOWS
        # Reshaped for `any` along one axis: along two axes a single window takes twice the time.
        return np.flatnonzero(unusual.reshape(len(unusual), windows[:1].size).any(axis=1))

    def find_impossible(self, windows: FloatArray) -> _Mask:
        """Return which windows (window, step, feature) have an impossible value: (window,)."""
        is_impossible: _Mask = np.logical_or.reduce(self._find_impossible_values(windows), axis=(1, 2))
        return is_impossible

    def _find_impossible_values(self, windows: FloatArray) -> _Mask:
        """Return which values are impossible: (window, step, feature)."""
        impossible: _Mask = (windows < self._sensors.low) | (windows > self._sensors.high)
        for index, number in self._sentinels:
            impossible[:, :, index] |= _is_sentinel(windows[:, :, index], number)
        return impossible

    def find_at_end(self, windows: FloatArray) -> _Mask:
        """Return which sensors stand at the end of their range: (window, feature)."""
        last, sensors = windows[:, -2:], self._sensors
        is_far = sensors.is_far(last, sensors.neighbour_means(last))  # (window, 2, feature)
        at_end: _Mask = np.logical_and.reduce(
            (last <= sensors.low_end) & is_far & sensors.has_neighbours, axis=1
        )
        return at_end

    def describe_impossible(self, window: FloatArray) -> str:
        """Return in words which values of a window (step, feature) are impossible, and why the newest is."""
        impossible = self._find_impossible_values(window[None])[0]  # (step, feature)
        step, index = (int(position[-1]) for position in np.nonzero(impossible))
        others = [
            feature.name
            for other, feature in enumerate(self._sensors.features)
            if other != index and impossible[:, other].any()
        ]
        too = f"; {', '.join(others)} too" if others else ""
        return f"{self._describe_value(float(window[step, index]), index)}{too}"

    def _describe_value(self, value: float, index: int) -> str:
        """Return in words why a value of a feature is impossible."""
        feature = self._sensors.features[index]
        text = f"{feature.name} reads {_format(value, feature.unit)}"
        if value < self._sensors.low[index]:
            low = _format(self._sensors.low[index], feature.unit)
            return f"{text}, below {low}, the lowest its sensor can have"
        if value > self._sensors.high[index]:
            high = _format(self._sensors.high[index], feature.unit)
            return f"{text}, above {high}, the highest its sensor can have"
        return f"{text}, which its sensor sends in place of a value"

    def describe_at_end(self, window: FloatArray) -> str:
        """Return in words which sensor of a window (step, feature) stands at the end of its range."""
        index = int(self.find_at_end(window[None])[0].argmax())
        feature, sensors = self._sensors.features[index], self._sensors
        others = _format(sensors.neighbour_means(window[-1])[index], feature.unit)
        return (
            f"{feature.name} stands at {_format(window[-1, index], feature.unit)}, the end of its range, "
            f"while {sensors.describe_neighbours(index)} {_reads(len(sensors.neighbours[index]))} {others}"
        )


def _is_sentinel(values: FloatArray, number: float) -> _Mask:
    is_equal: _Mask = np.abs(values - number) <= _RELATIVE_TOLERANCE * max(abs(number), 1.0)
    return is_equal


def _format(value: float, unit: str) -> str:
    return f"{value:.6g} {unit}".rstrip()


def _reads(neighbour_count: int) -> str:
    return "reads" if neighbour_count == 1 else "read on average"
