"""Finds sensors that repeat one value while their neighbours move, and lone ones that do so very long.

A sensor is flat if it has had one value in all samples since its neighbours began to move up and down: so
many moves, each larger than what two healthy sensors may differ by and than several steps of either sensor,
that a healthy sensor would have followed at least once. A move is a change of direction, so a single event
beside the neighbour, such as a shower, is two moves at most. A sensor that stood still before and was
healthy, as in a cellar, is flat only when it does so twice as long.

A sensor without neighbours is flat if it has had one value for a day of samples, and ten times as long as it
ever stood still before. One that has never moved may measure what never moves, and one that reads 0 belongs
to a plant that may be switched off: neither is flat.

A sensor is flat no longer when its value differs by more than one of its steps. At the end of its range, as
humidity in fog, a healthy sensor stands still, so there it is flat only while its neighbours are far away.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray
from monitor.core.times import format_iso
from monitor.detect.checks.sensors import Sensors
from monitor.detect.checks.state import SLOT_S

__all__ = ["MIN_MOVES", "MIN_SAMPLES", "FlatRule", "describe", "find_still"]

_Mask = NDArray[np.bool_]
_Floats = NDArray[np.float32]

MIN_SAMPLES = 30
"""Samples with an equal value before a sensor can be flat."""
MIN_MOVES = 4
"""Moves of the neighbours meanwhile."""
# Size of a move: in steps of the coarser sensor, and in accuracies.
_STEPS_PER_MOVE, _ACCURACIES_PER_MOVE = 4.0, 1.2
# The step of a sensor that has not changed yet is the coarsest of these that its value is a multiple of.
_STEPS = np.array([1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01], dtype=np.float32)
_ROUNDING_TOLERANCE = 1e-3  # in steps: the value is a float32
_MAX_COUNT = 250  # of moves
_MAX_SAMPLES = 30_000
# A sensor is flat only if it stands still this many times as long as it did before.
_MIN_LONGEST_RUNS = 2
# A sensor without neighbours: a day of samples, one in five minutes.
_LONE_MIN_SAMPLES = 288
_LONE_MIN_LONGEST_RUNS = 10


class FlatRule:
    """Updates the records of groups with a sample.

    Parameters
    ----------
    sensors : the sensors of a group.
    """

    def __init__(self, sensors: Sensors) -> None:
        self._sensors = sensors
        # No neighbour of a lone sensor moves: another rule holds for it.
        self._min_move = np.array(
            [
                _ACCURACIES_PER_MOVE * accuracy if others else np.inf
                for accuracy, others in zip(sensors.accuracy, sensors.neighbours, strict=True)
            ],
            dtype=np.float32,
        )  # (feature,)
        self._is_lone = ~sensors.has_neighbours  # (feature,)
        self._has_lone = bool(self._is_lone.any())
        self._is_neighbour = (sensors.neighbour_weights > 0)[None]  # (1, feature, feature)

    def update(self, records: NDArray[Any], slots: FloatArray, windows: FloatArray) -> None:
        """Update records of distinct groups (group,) in place with the newest window of each.

        Parameters
        ----------
        slots : number of the sample's slot of time (group,).
        windows : raw values (group, step, feature).
        """
        values, value = windows.astype(np.float32), records["value"]
        newest, others = values[:, -1], self._sensors.neighbour_means(windows[:, -1]).astype(np.float32)
        # The sensor was where it is, also between two samples.
        is_same = (np.abs(values - value[:, None]) <= records["tolerance"][:, None]).all(axis=1)
        change = np.abs(newest - value)
        change[is_same | (change == 0) | (records["tolerance"] < 0)] = np.inf
        records["step"] = np.minimum(records["step"], change)
        records["longest"] = np.where(
            is_same | records["flat"], records["longest"], np.maximum(records["longest"], records["samples"])
        )
        continued = is_same.any(axis=1).nonzero()[0]
        if not len(continued):
            _begin_runs(records, slots, newest, others)
            return
        runs = records[continued]
        _begin_runs(records, slots, newest, others)
        self._continue_runs(runs, is_same[continued], slots[continued], newest[continued], others[continued])
        records[continued] = runs

    def _continue_runs(
        self, records: NDArray[Any], is_same: _Mask, slots: FloatArray, newest: _Floats, others: _Floats
    ) -> None:
        """Count a sample, and the moves of the neighbours, where a sensor still has its value.

        Parameters
        ----------
        records : of the groups in which some sensor has (group,); changed in place.
        is_same : which sensor has (group, feature).
        slots, newest, others : as in `_begin_runs`.
        """
        began, step = ~is_same, records["step"]
        lowest, highest = np.minimum(records["lowest"], others), np.maximum(records["highest"], others)
        direction, min_move = records["direction"], self._find_min_moves(step, newest)
        up = (others - lowest >= min_move) & (direction <= 0)
        down = (highest - others >= min_move) & (direction >= 0)
        has_moved = up | down
        records["moves"] = moves = np.minimum(records["moves"] + has_moved, _MAX_COUNT) * is_same
        records["samples"] = samples = np.minimum(records["samples"] * is_same + 1, _MAX_SAMPLES)
        begins_range = has_moved | began
        records["lowest"] = np.where(begins_range, others, lowest)
        records["highest"] = np.where(begins_range, others, highest)
        records["direction"] = np.where(has_moved, up * 2 - 1, direction) * is_same
        records["value"] = np.where(began, newest, records["value"])
        records["since"] = np.where(began, slots[:, None], records["since"])
        is_flat = (samples >= MIN_SAMPLES) & (moves >= MIN_MOVES)
        is_flat &= samples >= _MIN_LONGEST_RUNS * records["longest"]
        if is_flat.any():
            is_flat &= ~self._sensors.is_usual_end(newest, others)
        if self._has_lone:
            is_flat |= self._find_lone_flat(records)
        if is_flat.any():
            records["flat"], records["tolerance"] = is_flat, np.where(is_flat, _finite_step(step), 0)
        else:
            records["flat"], records["tolerance"] = False, 0

    def _find_lone_flat(self, records: NDArray[Any]) -> _Mask:
        """Return which sensors without neighbours are flat (group, feature)."""
        samples, value, sensors = records["samples"], records["value"], self._sensors
        is_flat: _Mask = self._is_lone & (samples >= _LONE_MIN_SAMPLES)
        # Divided, for ten times `longest` may be more than its type holds.
        is_flat &= samples // _LONE_MIN_LONGEST_RUNS >= records["longest"]
        is_flat &= np.isfinite(records["step"]) & (value != 0)
        is_flat &= (value > sensors.low_end) & (value < sensors.high_end)
        return is_flat

    def _find_min_moves(self, step: _Floats, values: _Floats) -> _Floats:
        """Return the least change of the neighbours that counts as a move (group, feature)."""
        if np.isinf(step).any():
            step = np.where(np.isinf(step), _coarsest_step(values), step)
        coarsest = np.where(self._is_neighbour, step[:, :, None], 0).max(axis=1)  # of the neighbours
        min_moves: _Floats = np.maximum(_STEPS_PER_MOVE * np.maximum(step, coarsest), self._min_move)
        return min_moves


def _begin_runs(records: NDArray[Any], slots: FloatArray, newest: _Floats, others: _Floats) -> None:
    """Set records (group,) in which no sensor has the value that it had.

    Parameters
    ----------
    slots : number of the sample's slot of time (group,).
    newest : newest values (group, feature).
    others : mean of the neighbours (group, feature).
    """
    records["value"], records["since"] = newest, slots[:, None]
    records["lowest"] = records["highest"] = others
    records["samples"], records["moves"], records["direction"] = 1, 0, 0
    records["flat"], records["tolerance"] = False, 0


def find_still(records: NDArray[Any], values: FloatArray) -> _Mask:
    """Return which sensors of groups are flat and still have their value: (group, feature).

    Parameters
    ----------
    records : of the groups (group,).
    values : newest raw values (group, feature).
    """
    distance = np.abs(values.astype(np.float32) - records["value"])
    still: _Mask = records["flat"] & (distance <= records["tolerance"])
    return still


def describe(sensors: Sensors, record: Any, values: FloatArray) -> str:
    """Return in words which sensor of a group is flat.

    Parameters
    ----------
    record : of the group.
    values : newest raw values (feature,).
    """
    index = int(find_still(record[None], values[None])[0].argmax())
    feature = sensors.features[index]
    since = format_iso(float(record["since"][index]) * SLOT_S)
    text = (
        f"{feature.name} has read {f'{values[index]:.6g} {feature.unit}'.rstrip()} all the time since {since}"
    )
    if not sensors.has_neighbours[index]:
        return f"{text}, ten times as long as ever before"
    return f"{text}, while {sensors.describe_neighbours(index)} moved up and down"


def _finite_step(step: _Floats) -> _Floats:
    """Return the step, 0 where none is known."""
    return np.where(np.isinf(step), np.float32(0), step)


def _coarsest_step(values: _Floats) -> _Floats:
    """Return the coarsest of `_STEPS` that each value is a multiple of; 0 if there is none."""
    multiples = values[..., None] / _STEPS
    is_multiple = np.abs(multiples - np.rint(multiples)) < _ROUNDING_TOLERANCE
    coarsest: _Floats = (is_multiple * _STEPS).max(axis=-1)
    return coarsest
