"""Finds the sensors whose values are far from those that they should have."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.manifest import Manifest
from monitor.core.arrays import FloatArray
from monitor.core.quantities import Quantities
from monitor.core.verdicts import JudgedWindows
from monitor.detect.baseline import BaselineStage, NoBaseline
from monitor.detect.fault_kind import SensorError

__all__ = ["SensorErrors"]

# A sensor is in error beyond this many units of its group's baseline. The smallest offsets that the default
# bundle finds are above it: one of a pair is then half as many units from its level.
_MIN_UNITS = 2.0
# An error is far if it is above this many floors of the baseline (4.8 degC, 30 %RH) and this many times the
# range that the group's values had: 90 of 91 injected faults of the kind `bounds` were, and 4 of 330 other
# lasting ones.
_FAR_FLOORS, _FAR_RANGES = 60.0, 2.0


class SensorErrors:
    """Compares windows with the values that the sensors should have.

    Parameters
    ----------
    manifest : the bundle's manifest.
    baseline : the stage that knows what the sensors should have.
    """

    def __init__(self, manifest: Manifest, baseline: BaselineStage | NoBaseline) -> None:
        limits = np.array([feature.limits for feature in manifest.features])  # (feature, 2)
        self._low, self._high = limits.T
        self._far = _FAR_FLOORS * np.array(manifest.baseline.floors if manifest.baseline else 0.0)
        self._baseline = baseline
        # Features without neighbours of a model that judges sensor by sensor: by spikes (lone,).
        self._lone = Quantities(manifest.quantities).lone[: None if manifest.judges == "sensor" else 0]

    def find(
        self, windows: JudgedWindows, baselines: FloatArray, is_ready: NDArray[np.bool_], rows: Sequence[int]
    ) -> list[list[list[SensorError]]]:
        """Return the sensors with an error in each reading of some windows: (row, step).

        Nothing for a window, and not a list for each step, if nobody knows what the sensors should have.

        Parameters
        ----------
        baselines : the baseline of each window's group (window, 3, feature).
        is_ready : whether the group has a baseline (window,).
        rows : indices of the windows.
        """
        result: list[list[list[SensorError]]] = [[] for _ in rows]
        known = is_ready[rows].nonzero()[0].tolist()
        rows = [rows[number] for number in known]
        values, row_baselines = windows.values[rows], baselines[rows]
        expected = self._baseline.expected(values, row_baselines) if rows else None
        if expected is None:
            return result
        if len(self._lone):
            expected[:, :, self._lone] = np.median(values[:, :, self._lone], axis=1, keepdims=True)
        value_spans = self._baseline.value_spans([windows.groups[row] for row in rows])  # (row, feature)
        distances = np.abs(values - expected)  # (row, step, feature), like all arrays below
        in_units = distances / row_baselines[:, 1:2]
        is_far = distances > np.fmax(self._far, _FAR_RANGES * value_spans)[:, None]
        is_impossible = (values < self._low) | (values > self._high)
        is_error = in_units > _MIN_UNITS
        for number in known:
            result[number] = [[] for _ in range(values.shape[1])]
        columns = [array[is_error].tolist() for array in (values, expected, in_units, is_far, is_impossible)]
        for (row, step, feature), *numbers in zip(np.argwhere(is_error).tolist(), *columns, strict=True):
            result[known[row]][step].append(SensorError(feature, *numbers))
        return result
