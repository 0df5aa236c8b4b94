"""The rules by which a held sensor's fault ends, also where the true difference of the sensors has changed.

A sensor is held from the block in which it jumped away from its neighbours. What ends that, for sensors whose
true difference stayed as it was, is its return to the tolerance of its level (`learning`). But two places
that warm up at different times of the day drift apart while a sensor is held, and after the fault it is
healthy at a new deviation. So a jump back ends the hold as well. It is compared with the jump that began the
hold, and where it may end depends on how long the sensor was held. A slow plant's sensors may also come back
without a jump.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = ["SLOW_DEPARTURE_SPREADS", "BlockDeviations", "Departures", "close_departures"]

_Mask = NDArray[np.bool_]

SLOW_DEPARTURE_SPREADS = 1.4
"""Tolerance of a slow group in spreads. With 3 as for others, short blocks learn a part of the faults: F1 of
a house at 10 minutes was 0.68 and not 0.79 (docs/results/slow-plants.md)."""
# A jump back is 0.5 to 2 times the jump away, or ends at most 0.4 times as far from the level as it began.
_MIN_REVERSAL, _MAX_REVERSAL, _MAX_REST = 0.5, 2.0, 0.4
# Where a jump back may end: within the tolerance during the first 8 blocks, in which no true difference
# changes much, and half a tolerance further with each later block. With a bound that grows from the first
# block on, the end of one of two faults in a row was learnt as the normal state.
_BLOCKS_WITHOUT_WANDER, _WANDER_PER_BLOCK = 8, 0.5
# The jump away is remembered for this many blocks, 576 readings at usual paces. Later only a return to the
# tolerance ends a hold: in faults of 4,000 readings, steam on the faulty sensor ended like a fault, and 100 %
# of the windows after the real end were Faulty. It is remembered also if the sensor came within the tolerance
# meanwhile without a jump: then the true difference has changed by as much as the fault, and the fault is
# still there.
_JUMP_BLOCKS = 64
# A release with a jump of more than this share of the jump away is the fault's end.
_FINAL_JUMP = 0.25
# A slow group's sensor is released without a jump within a bound that grows by one departure with each block
# up to 4, or up to 1.5 times the largest deviation that came back by itself. That one shrinks by 0.1 % a
# block, 5 % a day at 10 minutes.
_MAX_DEPARTURES_BACK, _REACH_FACTOR, _REACH_DECAY = 4.0, 1.5, 0.999
_MAX_COUNT = np.iinfo(np.uint16).max


@dataclass(frozen=True, slots=True)
class BlockDeviations:
    """A full block in comparison with what was learnt before it: (group, representative) each."""

    median: FloatArray
    """Deviation of the block."""
    last: FloatArray
    """Deviation of its last window. A hold that ends is noticed up to 6 readings sooner in it."""
    before: FloatArray
    """Deviation of the block before, as it was learnt."""
    level: FloatArray
    spread: FloatArray
    tolerance: FloatArray


@dataclass(frozen=True, slots=True)
class Departures:
    """What the rules say of each sensor after a block: (group, representative) each."""

    is_held: _Mask
    has_ended: _Mask
    """Whether the hold has ended with the block's last window. The block itself is not learnt."""
    is_moved: _Mask
    """Whether it has ended outside of the tolerance. The deviation of the last window is the new level."""


def close_departures(records: NDArray[Any], block: BlockDeviations, is_held: _Mask) -> Departures:
    """Release sensors whose fault has ended; update what the records keep of jumps.

    Parameters
    ----------
    records : the records of the groups (group,).
    is_held : sensors that departed in this block, or are held and outside of the tolerance (group,
        representative).
    """
    is_slow = records["is_slow"][:, None]  # (group, 1)
    was_held, jump = records["held"], records["jump"].astype(np.float64)
    counts = records["jump_blocks"].astype(np.intp)  # 0: no jump; 1: in the block before
    blocks_since = np.maximum(counts - 1, 0)
    current = np.where(was_held, block.last, block.median)
    previous = np.where(was_held, records["previous"], block.before)
    step, distance = current - previous, np.abs(current - block.level)
    step_size, jump_size = np.abs(step), np.abs(jump)
    is_reversal = (
        (jump * step < 0)
        & (step_size >= _MIN_REVERSAL * jump_size)
        & (step_size <= _MAX_REVERSAL * jump_size)
    )
    is_homing = (
        was_held & (distance <= _MAX_REST * np.abs(previous - block.level)) & (step_size > block.tolerance)
    )
    wander = 1 + _WANDER_PER_BLOCK * np.maximum(blocks_since - _BLOCKS_WITHOUT_WANDER, 0)
    has_ended = (
        (is_reversal | is_homing) & (blocks_since <= _JUMP_BLOCKS) & (distance <= block.tolerance * wander)
    )
    if np.count_nonzero(is_slow):
        has_ended |= is_slow & was_held & _find_slow_returns(records, block, blocks_since)
    stays_held = is_held & ~has_ended
    is_new = stays_held & ~was_held
    is_closed = has_ended | ~stays_held & (
        (blocks_since > _JUMP_BLOCKS) | was_held & (step_size > _FINAL_JUMP * jump_size)
    )
    records["jump"] = np.where(is_new, step, np.where(is_closed, 0, jump))
    records["jump_blocks"] = np.where(
        is_new, 1, np.where(is_closed | (counts == 0), 0, np.minimum(counts + 1, _MAX_COUNT))
    )
    records["previous"] = current
    _update_reach(records, block, stays_held, is_slow)
    records["held"] = stays_held
    has_ended &= is_held
    return Departures(stays_held, has_ended, has_ended & (distance > block.tolerance))


def _find_slow_returns(
    records: NDArray[Any], block: BlockDeviations, blocks_since: NDArray[np.intp]
) -> _Mask:
    """Return which sensors are close enough to their level for the time that they are held."""
    departure = SLOW_DEPARTURE_SPREADS * block.spread
    limit = np.maximum(_MAX_DEPARTURES_BACK * departure, _REACH_FACTOR * records["reach"])
    bound = np.maximum(block.tolerance, np.minimum(limit, departure * (1 + blocks_since)))
    result: _Mask = np.abs(block.median - block.level) <= bound
    return result


def _update_reach(records: NDArray[Any], block: BlockDeviations, stays_held: _Mask, is_slow: _Mask) -> None:
    """Update how far sensors were from their level while held, and the largest such distance of ended holds.

    Called before `held` is updated.
    """
    was_held = records["held"]
    peak = np.where(was_held & is_slow, np.maximum(records["peak"], np.abs(block.median - block.level)), 0)
    reach = np.where(is_slow, records["reach"] * _REACH_DECAY, records["reach"])
    records["reach"] = np.where(was_held & ~stays_held, np.maximum(reach, peak), reach)
    records["peak"] = peak
