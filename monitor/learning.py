"""The rules by which a group's normal follows what it sends; `monitor.baseline` tells what they are for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.medians import middle, middles
from monitor.quantities import Quantities
from monitor.records import FloatArray
from monitor.rows import IndexArray

__all__ = ["BLOCKS", "COARSEST", "MORE_ON_THE_MOVE", "WINDOWS", "Learning"]

_Mask = NDArray[np.bool_]

WINDOWS = 3
"""In a block."""
BLOCKS = 11
"""In the memory."""
# The unit is so many times the distance that sensors usually keep: a noisy group is given more room.
_MORE_THAN_USUAL = 1.8
# Of one block it is so many times more: little is known of what is usual.
_MORE_WHILE_YOUNG = 2.0
MORE_ON_THE_MOVE = 0.3
"""Where the plant moves, one of its sensors is there before the other: the unit grows by this share of the
way that all have gone since the last block."""
# Sensors have come apart beyond so many times their usual distance, or twice the floor.
_APART, _APART_FLOORS = 3.0, 2.0
# What a sensor reports in coarse steps jumps by a step for nothing: in steps, of a unit and of coming apart.
_STEP_UNIT, _STEP_APART = 0.3, 0.7
# Fine ones count as none; a group that nothing is known of has the coarsest.
_COARSE_STEPS = np.array([0.0, 0.1, 0.2, 0.5, 1.0, np.inf])
COARSEST = len(_COARSE_STEPS) - 1
"""Which of the coarse steps a group that nothing is known of reports in."""
_ROUNDING = 1e-4
# How much one block counts for the usual distance: it grows faster than it shrinks, twofold a block at most.
_SLOW, _FAST, _AT_MOST = 1 / 32, 1 / 10, 2.0
# Below this share of the floor a distance is none.
_NEGLIGIBLE = 0.25


class Learning:
    """Learns from windows and from blocks that are full.

    Parameters
    ----------
    quantities : of the features.
    floors : the least unit of each one (feature,).
    """

    def __init__(self, quantities: Quantities, floors: FloatArray) -> None:
        self._of = quantities
        self._floors = floors

    def refine(self, records: NDArray[Any], rows: IndexArray, windows: FloatArray) -> None:
        """Learn in which steps sensors report: (window,), (window, step, feature)."""
        found = np.zeros((len(windows), windows.shape[2]), dtype=np.uint8)
        for number, step in enumerate(_COARSE_STEPS[1:-1], 1):
            counts = windows / step
            found[(np.abs(counts - np.rint(counts)) < _ROUNDING).all(axis=1)] = number
        np.minimum.at(records["coarse"], rows, self._of.largest(found))

    def close(self, records: NDArray[Any], rows: IndexArray, full: IndexArray, newest: FloatArray) -> None:
        """Learn from blocks that are full.

        Parameters
        ----------
        records : of all groups, which are changed.
        rows, full : which of them, and blocks before (group,).
        newest : medians of the windows that filled the blocks (group, feature).
        """
        of = self._of
        before = full[:, None]
        windows = np.concatenate([records["open"][rows], newest[:, None]], axis=1)  # (group, window, feature)
        block = middle(windows)  # (group, feature)
        last = np.where(before > 0, records["normal"][rows, 2], block)
        apart = of.apart(block)[:, of.telling]  # (group, told), as all that follow
        level = np.where(before > 0, records["normal"][rows, 0][:, of.telling], apart)
        distances = middle(np.abs(of.apart(windows)[..., of.telling] - level[:, None]))
        usual = np.where(before > 0, records["usual"][rows], distances)
        step = _COARSE_STEPS[records["coarse"][rows]][:, of.telling]
        bound = np.maximum(
            np.maximum(_APART * usual, _APART_FLOORS * self._floors[of.telling]), _STEP_APART * step
        )
        moved = of.shared_size(block - last)[:, of.telling]
        left, suspect = self._came_apart(records, rows, full, apart, level, bound, moved)
        records["ring"][rows, full % BLOCKS] = np.where(suspect, level, apart)
        usual = np.where(left, usual, self._grown(usual, distances, before))
        records["usual"][rows] = usual
        low, high = middles(records["ring"][rows], full + 1)
        room = _MORE_THAN_USUAL * (1 + _MORE_WHILE_YOUNG / (before + 1))
        unit = np.maximum(room * usual, _STEP_UNIT * step)
        stands = of.everywhere(level)  # (group, feature)
        expected = stands + of.quietest(block - last, block - stands)
        # Where there are two in the middle, never between them, where no block may have been.
        records["normal"][rows, 0] = of.everywhere(np.clip(level, low, high))
        records["normal"][rows, 1] = np.maximum(unit[:, of.told_by], self._floors)
        records["normal"][rows, 2] = np.where(suspect[:, of.told_by], expected, block)

    def _came_apart(
        self,
        records: NDArray[Any],
        rows: IndexArray,
        full: IndexArray,
        apart: FloatArray,
        level: FloatArray,
        bound: FloatArray,
        moved: FloatArray,
    ) -> tuple[_Mask, _Mask]:
        """Return which sensors' blocks are no rest to learn from, and which of those are held: (group, told).

        Parameters
        ----------
        records, rows, full : of all, which of them, and blocks before (group,).
        apart, level, bound, moved : how far they stand apart, did so far, may from that, and how far all have
            moved since the last block (group, told).
        """
        before = full[:, None]
        there = (np.arange(BLOCKS) < before)[:, :, None]
        ring = np.where(there, records["ring"][rows], level[:, None])  # (group, block, told)
        # What half a memory says is half believed.
        wide = bound * np.maximum(1, BLOCKS / np.maximum(before, 1)) + MORE_ON_THE_MOVE * moved
        # What leaves slowly is followed, as when the sun comes round to one of two sensors. So is
        # what goes where it was a while ago: it comes back.
        leaves = (apart < ring.min(axis=1) - wide) | (apart > ring.max(axis=1) + wide)
        leaves &= self._of.shared[self._of.telling]
        further = (before >= BLOCKS) | (np.abs(apart) > np.abs(level))
        suspect = records["held"][rows] & (np.abs(apart - level) > bound) | leaves & further
        records["held"][rows] = suspect
        return leaves | suspect, suspect

    def _grown(self, usual: FloatArray, distances: FloatArray, full: IndexArray) -> FloatArray:
        """Return the distance at rest after a block with these: (group, told), (group, told), (group, 1)."""
        most = _AT_MOST * np.maximum(usual, _NEGLIGIBLE * self._floors[self._of.telling])
        weight = np.maximum(1 / (full + 1), np.where(distances > usual, _FAST, _SLOW))
        grown: FloatArray = usual + (np.clip(distances, usual / _AT_MOST, most) - usual) * weight
        return grown
