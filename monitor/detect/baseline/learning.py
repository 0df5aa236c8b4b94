"""The rules by which full blocks change a group's baseline; `baseline.stage` describes their purpose.

Names used here, each for one representative (see `Quantities`) of a group:

- deviation: distance of the sensor from the median of its quantity, in a window or a block.
- level: usual deviation, the median of the deviations of the last blocks.
- residual: absolute difference of deviation and level.
- spread: usual residual.
- tolerance: residual up to which the sensor counts as not departed.
- unit: divisor of the model's input.
- slow: with blocks of a single window, because a window takes 7.5 minutes or more.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.model_input import UNIT_GROWTH_PER_MOVE
from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.medians import median_high
from monitor.core.quantities import Quantities
from monitor.detect.baseline.blocks import WINDOWS_PER_BLOCK
from monitor.detect.baseline.departures import (
    SLOW_DEPARTURE_SPREADS,
    BlockDeviations,
    Departures,
    close_departures,
)
from monitor.detect.baseline.history import HISTORY_BLOCKS, median_level, partial_mask

__all__ = [
    "UNKNOWN_RESOLUTION",
    "BaselineUpdate",
]

_Mask = NDArray[np.bool_]

# Unit = 1.8 x spread, so noisy groups get a larger unit. In a slow group it is 3 x spread: less is learnt of
# what its sensors do, because they depart sooner.
_UNIT_PER_SPREAD = 1.8
_SLOW_UNIT_RATIO = 3.0 / _UNIT_PER_SPREAD
# In a slow group's first day the unit is larger, by the factor 3 at first: nothing is known of the times of
# the day that it has not seen. Without it, 157 windows of a house's first three days were Faulty, not 54.
_FIRST_DAY_UNIT_GROWTH, _DAY_S = 2.0, 86_400.0
# After n blocks the unit is larger by the factor 1 + 2 / n, as few blocks estimate the spread poorly.
_FIRST_BLOCK_UNIT_GROWTH = 2.0
# Tolerance = 3 x spread (less in a slow group, see `SLOW_DEPARTURE_SPREADS`), and at least 2 x floor.
_DEPARTURE_SPREADS, _DEPARTURE_FLOORS = 3.0, 2.0
# Steps (resolutions) in which sensors report their values, in the unit of the feature. Finer steps count as
# 0. A new group has the last resolution, infinity, until its windows show a finer step.
_RESOLUTIONS = np.array([0.0, 0.1, 0.2, 0.5, 1.0, np.inf])
UNKNOWN_RESOLUTION = len(_RESOLUTIONS) - 1
"""Resolution of a new group, as an index into `_RESOLUTIONS`."""
# Indices of the known coarse steps: (resolution, 1, 1).
_RESOLUTION_INDICES = np.arange(1, UNKNOWN_RESOLUTION, dtype=np.uint8)[:, None, None]
# The smallest tolerance and the smallest unit by resolution, because a value that lies between two steps
# jumps between the two without a real change: (2, resolution).
_MIN_BY_RESOLUTION = np.array([[0.7], [0.3]]) * _RESOLUTIONS
_ROUNDING_TOLERANCE = 1e-4  # in steps: a value this close to a multiple of the step is a multiple
# Weight of a new block in the spread when the spread shrinks and when it grows. A residual counts at least as
# half and at most as twice the spread.
_SPREAD_WEIGHTS = np.array([1 / 32, 1 / 10])
_MIN_SPREAD_RATIO, _MAX_SPREAD_RATIO = 0.5, 2.0
# A spread below this share of the floor counts as this share when it limits a residual.
_NEGLIGIBLE_FLOORS = 0.25
# Each block pulls both ends of the range of values towards it by this share, so that the range forgets: half
# of what it was after 1,400 blocks, which are 18 hours with a reading every 5 s.
_RANGE_DECAY = 1 / 2048
# Smallest weight of a block in the usual move.
_MIN_MOVE_WEIGHT = 1 / 16
# By number of blocks in the history: which slots are empty (blocks, slot), and the factor on the tolerance
# (blocks,). The fewer blocks there are, the less certain the level is, so the tolerance is larger.
_EMPTY_SLOTS = np.arange(HISTORY_BLOCKS) >= np.arange(HISTORY_BLOCKS + 1)[:, None]
_PARTIAL_HISTORY_FACTORS = HISTORY_BLOCKS / np.maximum(np.arange(HISTORY_BLOCKS + 1), 1)


class BaselineUpdate:
    """Updates the records of groups with their full blocks, and finds the resolution of sensors.

    Parameters
    ----------
    quantities : the quantities of the features.
    floors : the smallest unit of each feature (feature,).
    """

    def __init__(self, quantities: Quantities, floors: FloatArray) -> None:
        self._quantities = quantities
        self._floors = floors[None]  # (1, feature): NumPy is fastest with operands of equal dimensions
        floors_by_representative = self._floors[:, quantities.representatives]
        # A sensor without neighbours never departs.
        self._min_departure = np.where(
            quantities.has_neighbours, _DEPARTURE_FLOORS * floors_by_representative, np.inf
        )
        self._negligible_spread = _NEGLIGIBLE_FLOORS * floors_by_representative

    def find_resolutions(self, windows: FloatArray) -> NDArray[np.uint8]:
        """Return the coarsest resolution, as an index, that the values of a quantity fit: (window, feature).

        Parameters
        ----------
        windows : raw values (window, step, feature).
        """
        # `all` takes a tenth of the time when it reduces a leading axis: (resolution, step, window, feature).
        multiples = windows.swapaxes(0, 1).copy() / _RESOLUTIONS[1:-1, None, None, None]
        is_multiple = (np.abs(multiples - np.rint(multiples)) < _ROUNDING_TOLERANCE).all(axis=1)
        resolutions: NDArray[np.uint8] = (is_multiple * _RESOLUTION_INDICES).max(axis=0)  # (window, feature)
        return self._quantities.expand(self._quantities.maximum(resolutions))

    def apply(self, records: NDArray[Any]) -> None:
        """Update records (group,) in place with the block that is full in each of them.

        When readings arrive one at a time, the cost depends on the number of NumPy calls and not on the array
        sizes. So the code uses few calls: one for all windows of the block, on representatives instead of
        features, and on copies of whole records.
        """
        blocks_before = records["blocks"].astype(np.intp) - 1  # blocks learnt before this one (group,)
        records["expires_at"] = records["next_expires_at"]
        is_slow = records["is_slow"][:, None]  # (group, 1)
        has_slow = np.count_nonzero(is_slow) > 0
        quantities, is_partial = self._quantities, partial_mask(blocks_before)
        open_medians = records["open_medians"].swapaxes(0, 1)  # (window, group, feature)
        # The medians of the block's windows, and as the last entry the median of the windows' medians:
        # (window + 1, group, feature).
        medians = np.empty((WINDOWS_PER_BLOCK + 1, *open_medians.shape[1:]))
        medians[:-1] = open_medians
        medians[-1] = median_high(medians[:-1])
        block = medians[-1]  # (group, feature)
        deviations = quantities.deviations(medians)  # (window + 1, group, representative)
        deviation = deviations[-1]  # (group, representative), like all arrays below
        baselines, spread = records["baseline"].astype(np.float64), records["spread"].astype(np.float64)
        level, last_block = baselines[:, 0].take(quantities.representatives, axis=1), baselines[:, 2]
        if is_partial is not None:  # a group's first block is compared with itself
            is_first = blocks_before[:, None] == 0
            np.copyto(level, deviation, where=is_first)
            np.copyto(last_block, block, where=is_first)
        residuals, moves = np.abs(deviations - level), block - last_block
        if np.count_nonzero(records["is_after_gap"]):  # how fast the plant moves is not known then
            moves[records["is_after_gap"]] = 0
        residual = median_high(residuals[:-1])
        if is_partial is not None:
            np.copyto(spread, residual, where=is_first)
        min_tolerance, min_unit = _MIN_BY_RESOLUTION.take(
            records["resolution"].take(quantities.representatives, axis=1), axis=1
        )
        departure_spreads = (
            np.where(is_slow, SLOW_DEPARTURE_SPREADS, _DEPARTURE_SPREADS) if has_slow else _DEPARTURE_SPREADS
        )
        tolerance = np.maximum(np.maximum(departure_spreads * spread, self._min_departure), min_tolerance)
        common_move = quantities.common_magnitude(moves)
        is_departed, is_held = _find_departed(
            records, blocks_before, is_partial, deviation, level, residuals[-1], tolerance, common_move
        )
        # Most groups have nothing to close. `jump_blocks` is not 0 for held sensors.
        if has_slow or np.count_nonzero(is_held) or np.count_nonzero(records["jump_blocks"]):
            departures = self._close_departures(
                records, blocks_before, medians, deviations, level, spread, tolerance, is_held
            )
            is_held, is_departed = departures.is_held, is_departed | departures.has_ended
        weight = (1 / (blocks_before + 1.0))[:, None]  # of this block among all blocks so far (group, 1)
        new_spread = self._update_spread(spread, residual, weight)
        np.copyto(new_spread, spread, where=is_departed)
        records["spread"] = new_spread
        if np.count_nonzero(is_held):  # nothing is learnt: expected values replace the block's values
            feature_levels = quantities.expand_signed(level)  # (group, feature)
            expected = feature_levels + quantities.expand(
                quantities.select_least_moved(moves, block - feature_levels)
            )
            np.copyto(block, expected, where=quantities.expand(is_held))
            np.copyto(deviation, level, where=is_held)
        records["deviations"][np.arange(len(records)), blocks_before % HISTORY_BLOCKS] = deviation
        unit = np.maximum(_unit_per_spread(records, blocks_before, weight) * new_spread, min_unit)
        new_baselines = records["baseline"]
        new_baselines[:, 0] = quantities.expand_signed(
            median_level(records["deviations"], blocks_before, is_partial, level)
        )
        new_baselines[:, 1] = np.maximum(quantities.expand(unit), self._floors)
        new_baselines[:, 2] = block
        _update_usual_values(records, block, common_move, weight)

    def _close_departures(
        self,
        records: NDArray[Any],
        blocks_before: IndexArray,
        medians: FloatArray,
        deviations: FloatArray,
        level: FloatArray,
        spread: FloatArray,
        tolerance: FloatArray,
        is_held: _Mask,
    ) -> Departures:
        """Release sensors whose fault ended with the block's last window, and let the block be this window.

        Parameters
        ----------
        records : the records of the groups (group,).
        blocks_before : number of blocks learnt before this one (group,).
        medians : of the block's windows, and of the block: (window + 1, group, feature). Updated in place.
        deviations : the same relative to the quantity: (window + 1, group, representative). Updated in place.
        level, spread, tolerance : before the block (group, representative). The level is updated in place.
        is_held : sensors that departed or are held, from `_find_departed` (group, representative).
        """
        deviation, last_deviation = deviations[-1], deviations[-2]
        before = records["deviations"][np.arange(len(records)), (blocks_before - 1) % HISTORY_BLOCKS]
        np.copyto(before, deviation, where=blocks_before[:, None] == 0)
        departures = close_departures(
            records, BlockDeviations(deviation, last_deviation, before, level, spread, tolerance), is_held
        )
        has_ended, is_moved = departures.has_ended, departures.is_moved
        if np.count_nonzero(has_ended):
            np.copyto(medians[-1], medians[-2], where=self._quantities.expand(has_ended))
            np.copyto(level, last_deviation, where=is_moved)
            np.copyto(deviation, level, where=has_ended)
            np.copyto(records["deviations"], level[:, None], where=is_moved[:, None])
        return departures

    def _update_spread(self, spread: FloatArray, residual: FloatArray, weight: FloatArray) -> FloatArray:
        """Return the spread after a block: (group, representative).

        Parameters
        ----------
        spread : spread before the block (group, representative).
        residual : median residual of the block's windows (group, representative).
        weight : share of the block among all blocks so far (group, 1).
        """
        upper_bound = _MAX_SPREAD_RATIO * np.maximum(spread, self._negligible_spread)
        bounded = np.minimum(np.maximum(residual, _MIN_SPREAD_RATIO * spread), upper_bound)
        new_spread: FloatArray = spread + (bounded - spread) * np.maximum(
            weight, _SPREAD_WEIGHTS.take(residual > spread)
        )
        return new_spread


def _find_departed(
    records: NDArray[Any],
    blocks_before: IndexArray,
    is_partial: _Mask | None,
    deviation: FloatArray,
    level: FloatArray,
    residual: FloatArray,
    tolerance: FloatArray,
    common_move: FloatArray,
) -> tuple[_Mask, _Mask]:
    """Return which sensors departed or are held, and which are held: (group, representative) each.

    The spread is not updated for sensors in the first mask, the level not for sensors in the second mask.

    Parameters
    ----------
    records : the records of the groups (group,).
    blocks_before : number of blocks learnt before this one (group,).
    is_partial : groups whose history is not full, from `partial_mask` (group, 1).
    deviation, level, residual, tolerance : of this block, as defined above (group, representative).
    common_move : how far all sensors of the quantity moved since the last block (group, representative).
    """
    ring, margin = records["deviations"].astype(np.float64), UNIT_GROWTH_PER_MOVE * common_move
    if is_partial is None:
        margin += tolerance
    else:
        blocks = np.minimum(blocks_before, HISTORY_BLOCKS)
        np.copyto(ring, level[:, None], where=_EMPTY_SLOTS.take(blocks, axis=0)[:, :, None])
        margin += tolerance * _PARTIAL_HISTORY_FACTORS.take(blocks)[:, None]
    ring.sort(axis=1)  # for few groups faster than computing minimum and maximum
    # Compared with all blocks of the history and not only with the level. Thus the baseline follows a
    # slow change, such as sunlight that moves to one of two sensors, and a return to an earlier
    # deviation.
    is_outside = is_departing = (deviation < ring[:, 0] - margin) | (deviation > ring[:, -1] + margin)
    if is_partial is not None:
        is_departing = is_outside & (~is_partial | (np.abs(deviation) > np.abs(level)))
    is_held = is_departing | records["held"] & (residual > tolerance)
    return is_outside | is_held, is_held


def _update_usual_values(
    records: NDArray[Any], block: FloatArray, common_move: FloatArray, weight: FloatArray
) -> None:
    """Update the range of each sensor's values, and how far its quantity usually moves in a block.

    Parameters
    ----------
    records : the records of the groups (group,).
    block : the values of the block (group, feature).
    common_move : how far all sensors of the quantity moved since the last block (group, representative).
    weight : share of the block among all blocks so far (group, 1).
    """
    usual_move = records["usual_move"]
    usual_move += np.maximum(weight, _MIN_MOVE_WEIGHT) * (common_move - usual_move)
    value_range = records["value_range"]
    value_range += _RANGE_DECAY * (block[:, None] - value_range)
    np.fmin(value_range[:, 0], block, out=value_range[:, 0], casting="same_kind")
    np.fmax(value_range[:, 1], block, out=value_range[:, 1], casting="same_kind")


def _unit_per_spread(records: NDArray[Any], blocks_before: IndexArray, weight: FloatArray) -> FloatArray:
    """Return the ratio of unit and spread, larger in new groups and in slow ones: (group, 1).

    Parameters
    ----------
    records : the records of the groups (group,).
    blocks_before : number of blocks learnt before this one (group,).
    weight : share of the block among all blocks so far (group, 1).
    """
    ratio: FloatArray = _UNIT_PER_SPREAD * (1 + _FIRST_BLOCK_UNIT_GROWTH * weight)
    is_slow = records["is_slow"][:, None]
    if np.count_nonzero(is_slow):
        ratio *= np.where(is_slow, _SLOW_UNIT_RATIO * _first_day_growth(records, blocks_before), 1)
    return ratio


def _first_day_growth(records: NDArray[Any], blocks_before: IndexArray) -> FloatArray:
    """Return the factor on the unit of slow groups, 1 from the first day's end on: (group, 1).

    A window of three readings spans two periods, and its block takes three.
    """
    seen_days = blocks_before * records["window_s"] * 1.5 / _DAY_S
    growth: FloatArray = 1 + _FIRST_DAY_UNIT_GROWTH * np.maximum(1 - seen_days, 0)[:, None]
    return growth
