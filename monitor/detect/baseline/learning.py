"""The rules by which a group's baseline follows its readings; `baseline.stage` says what they are for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.model_input import UNIT_GROWTH_PER_MOVE
from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.medians import median_high, median_low_high
from monitor.core.quantities import Quantities

__all__ = ["HISTORY_BLOCKS", "UNKNOWN_RESOLUTION", "WINDOWS_PER_BLOCK", "BaselineUpdate"]

_Mask = NDArray[np.bool_]

WINDOWS_PER_BLOCK = 3
"""In a block."""
HISTORY_BLOCKS = 11
"""In the memory."""
# The unit is so many times the distance that sensors usually keep: a noisy group is given more room.
_UNIT_PER_SPREAD = 1.8
# Of one block it is so many times more: little is known of what is usual.
_FIRST_BLOCK_UNIT_GROWTH = 2.0
# Sensors have come apart beyond so many times their usual distance, or twice the floor.
_DEPARTURE_SPREADS, _DEPARTURE_FLOORS = 3.0, 2.0
# Fine ones count as none; a group that nothing is known of has the coarsest.
_RESOLUTIONS = np.array([0.0, 0.1, 0.2, 0.5, 1.0, np.inf])
UNKNOWN_RESOLUTION = len(_RESOLUTIONS) - 1
"""Which of the coarse steps a group that nothing is known of reports in."""
_RESOLUTION_INDICES = np.arange(1, UNKNOWN_RESOLUTION, dtype=np.uint8)[
    :, None, None
]  # of those that there are
# What a sensor reports in coarse steps jumps by a step for nothing: so many of them are the least that counts
# as coming apart, and the least unit (2, coarse step).
_MIN_BY_RESOLUTION = np.array([[0.7], [0.3]]) * _RESOLUTIONS
_ROUNDING_TOLERANCE = 1e-4
# How much one block counts for the usual distance, as that shrinks and as it grows; twofold a block at most.
_SPREAD_WEIGHTS = np.array([1 / 32, 1 / 10])
_MIN_SPREAD_RATIO, _MAX_SPREAD_RATIO = 0.5, 2.0
# Below this share of the floor a distance is none.
_NEGLIGIBLE_FLOORS = 0.25
# By how many blocks the memory holds: which of its places are empty (blocks, place), and how much further
# than it says a sensor must go, for what half a memory says is half believed (blocks,).
_EMPTY_SLOTS = np.arange(HISTORY_BLOCKS) >= np.arange(HISTORY_BLOCKS + 1)[:, None]
_PARTIAL_HISTORY_FACTORS = HISTORY_BLOCKS / np.maximum(np.arange(HISTORY_BLOCKS + 1), 1)


class BaselineUpdate:
    """Learns from windows and from blocks that are full.

    Parameters
    ----------
    quantities : of the features.
    floors : the least unit of each one (feature,).
    """

    def __init__(self, quantities: Quantities, floors: FloatArray) -> None:
        self._quantities = quantities
        self._floors = floors[None]  # (1, feature), for NumPy is quickest with what has one shape
        floors_by_representative = self._floors[:, quantities.representatives]
        # One that is alone never comes apart.
        self._min_departure = np.where(
            quantities.has_neighbours, _DEPARTURE_FLOORS * floors_by_representative, np.inf
        )
        self._negligible_spread = _NEGLIGIBLE_FLOORS * floors_by_representative

    def find_resolutions(self, windows: FloatArray) -> NDArray[np.uint8]:
        """Return in which of the coarse steps the sensors in windows may report: (window, feature)."""
        # Of what stands side by side `all` takes a tenth of the time: (coarse step, step, window, feature).
        multiples = windows.swapaxes(0, 1).copy() / _RESOLUTIONS[1:-1, None, None, None]
        is_multiple = (np.abs(multiples - np.rint(multiples)) < _ROUNDING_TOLERANCE).all(axis=1)
        resolutions: NDArray[np.uint8] = (is_multiple * _RESOLUTION_INDICES).max(axis=0)  # (window, feature)
        return self._quantities.expand(self._quantities.maximum(resolutions))

    def apply(self, records: NDArray[Any]) -> None:
        """Learn from the block that is full in each of these records (group,), which are changed.

        When readings come one by one, a block costs what its calls of NumPy do, of however little. So there
        are few: of all windows at once, of what is told and not of all features, of records copied whole.
        """
        blocks_before = records["full_block"].astype(np.intp) - 1  # blocks before these (group,)
        records["full_block"] = 0
        quantities, is_partial = self._quantities, _partial_mask(blocks_before)
        open_medians = records["open_medians"].swapaxes(0, 1)  # (window, group, feature)
        medians = np.empty(
            (WINDOWS_PER_BLOCK + 1, *open_medians.shape[1:])
        )  # their medians, and last their block's
        medians[:-1] = open_medians
        medians[-1] = block = median_high(medians[:-1])  # (group, feature)
        deviations = quantities.deviations(medians)
        deviation = deviations[-1]  # (group, told), as all that follow
        baselines, spread = records["baseline"].astype(np.float64), records["spread"].astype(np.float64)
        level, last_block = baselines[:, 0].take(quantities.representatives, axis=1), baselines[:, 2]
        if is_partial is not None:  # a group was before its first block as it is in it
            is_first = blocks_before[:, None] == 0
            np.copyto(level, deviation, where=is_first)
            np.copyto(last_block, block, where=is_first)
        residuals, moves = np.abs(deviations - level), block - last_block
        residual = median_high(residuals[:-1])
        if is_partial is not None:
            np.copyto(spread, residual, where=is_first)
        min_tolerance, min_unit = _MIN_BY_RESOLUTION.take(
            records["resolution"].take(quantities.representatives, axis=1), axis=1
        )
        tolerance = np.maximum(np.maximum(_DEPARTURE_SPREADS * spread, self._min_departure), min_tolerance)
        common_move = quantities.common_magnitude(moves)
        is_departed, is_held = self._find_departed(
            records, blocks_before, is_partial, deviation, level, residuals[-1], tolerance, common_move
        )
        records["held"] = is_held
        weight = (1 / (blocks_before + 1.0))[:, None]  # of all blocks
        new_spread = self._update_spread(spread, residual, weight)
        np.copyto(new_spread, spread, where=is_departed)
        records["spread"] = new_spread
        if np.count_nonzero(is_held):  # it teaches nothing, and is expected to go where the others do
            feature_levels = quantities.expand_signed(level)  # (group, feature)
            expected = feature_levels + quantities.expand(
                quantities.select_least_moved(moves, block - feature_levels)
            )
            np.copyto(block, expected, where=quantities.expand(is_held))
            np.copyto(deviation, level, where=is_held)
        records["deviations"][np.arange(len(records)), blocks_before % HISTORY_BLOCKS] = deviation
        unit = np.maximum(_UNIT_PER_SPREAD * (1 + _FIRST_BLOCK_UNIT_GROWTH * weight) * new_spread, min_unit)
        new_baselines = records["baseline"]
        new_baselines[:, 0] = quantities.expand_signed(
            _median_level(records["deviations"], blocks_before, is_partial, level)
        )
        new_baselines[:, 1] = np.maximum(quantities.expand(unit), self._floors)
        new_baselines[:, 2] = block

    def _find_departed(
        self,
        records: NDArray[Any],
        blocks_before: IndexArray,
        is_partial: _Mask | None,
        deviation: FloatArray,
        level: FloatArray,
        residual: FloatArray,
        tolerance: FloatArray,
        common_move: FloatArray,
    ) -> tuple[_Mask, _Mask]:
        """Return which sensors' blocks are no rest to learn from, and which of those are held: (group, told).

        Parameters
        ----------
        records, blocks_before, is_partial : records, blocks before (group,), and those that `_partial_mask` found.
        deviation, level, residual, tolerance, common_move : how far they stand apart, did so far, how far that is from there,
            may be, and how far all have moved since the last block (group, told).
        """
        ring, margin = records["deviations"].astype(np.float64), UNIT_GROWTH_PER_MOVE * common_move
        if is_partial is None:
            margin += tolerance
        else:
            blocks = np.minimum(blocks_before, HISTORY_BLOCKS)
            np.copyto(ring, level[:, None], where=_EMPTY_SLOTS.take(blocks, axis=0)[:, :, None])
            margin += tolerance * _PARTIAL_HISTORY_FACTORS.take(blocks)[:, None]
        ring.sort(axis=1)  # where there are few, sooner done than to look for both ends
        # What leaves slowly is followed, as when the sun comes round to one of two sensors. So is
        # what goes where it was a while ago: it comes back.
        is_outside = is_departing = (deviation < ring[:, 0] - margin) | (deviation > ring[:, -1] + margin)
        if is_partial is not None:
            is_departing = is_outside & (~is_partial | (np.abs(deviation) > np.abs(level)))
        is_held = is_departing | records["held"] & (residual > tolerance)
        return is_outside | is_held, is_held

    def _update_spread(self, spread: FloatArray, residual: FloatArray, weight: FloatArray) -> FloatArray:
        """Return the distance at rest after a block.

        Parameters
        ----------
        spread, residual : before it, and in it (group, told).
        weight : of all blocks that this one is (group, 1).
        """
        upper_bound = _MAX_SPREAD_RATIO * np.maximum(spread, self._negligible_spread)
        bounded = np.minimum(np.maximum(residual, _MIN_SPREAD_RATIO * spread), upper_bound)
        new_spread: FloatArray = spread + (bounded - spread) * np.maximum(
            weight, _SPREAD_WEIGHTS.take(residual > spread)
        )
        return new_spread


def _partial_mask(blocks_before: IndexArray) -> _Mask | None:
    """Return whose memory has room, by the blocks before (group,): (group, 1); None, most often, if nobody's.

    To learn of the others takes half the time.
    """
    is_partial = blocks_before[:, None] < HISTORY_BLOCKS
    return is_partial if np.count_nonzero(is_partial) else None


def _median_level(
    ring: FloatArray, blocks_before: IndexArray, is_partial: _Mask | None, previous_level: FloatArray
) -> FloatArray:
    """Return how far sensors stand apart by the last blocks (group, block, told): (group, told).

    Parameters
    ----------
    blocks_before, is_partial : blocks before the newest one (group,), and those that `_partial_mask` found.
    previous_level : how far they stood apart before it (group, told).
    """
    ring = ring.astype(np.float64)
    if is_partial is None:
        ring.sort(axis=1)
        level: FloatArray = ring[:, HISTORY_BLOCKS // 2]
        return level
    low, high = median_low_high(ring, blocks_before + 1)
    # Where there are two in the middle, never between them, where no block may have been.
    return np.minimum(np.maximum(previous_level, low), high)
