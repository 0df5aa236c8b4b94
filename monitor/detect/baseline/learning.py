"""The rules by which a group's baseline follows its readings; `baseline.stage` says what they are for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.model_input import UNIT_GROWTH_PER_MOVE
from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.medians import middle, middles
from monitor.core.quantities import Quantities

__all__ = ["BLOCKS", "COARSEST", "WINDOWS", "Learning"]

_Mask = NDArray[np.bool_]

WINDOWS = 3
"""In a block."""
BLOCKS = 11
"""In the memory."""
# The unit is so many times the distance that sensors usually keep: a noisy group is given more room.
_MORE_THAN_USUAL = 1.8
# Of one block it is so many times more: little is known of what is usual.
_MORE_WHILE_YOUNG = 2.0
# Sensors have come apart beyond so many times their usual distance, or twice the floor.
_APART, _APART_FLOORS = 3.0, 2.0
# Fine ones count as none; a group that nothing is known of has the coarsest.
_COARSE_STEPS = np.array([0.0, 0.1, 0.2, 0.5, 1.0, np.inf])
COARSEST = len(_COARSE_STEPS) - 1
"""Which of the coarse steps a group that nothing is known of reports in."""
_NUMBERS = np.arange(1, COARSEST, dtype=np.uint8)[:, None, None]  # of those that there are
# What a sensor reports in coarse steps jumps by a step for nothing: so many of them are the least that counts
# as coming apart, and the least unit (2, coarse step).
_LEAST_STEPS = np.array([[0.7], [0.3]]) * _COARSE_STEPS
_ROUNDING = 1e-4
# How much one block counts for the usual distance, as that shrinks and as it grows; twofold a block at most.
_WEIGHTS = np.array([1 / 32, 1 / 10])
_AT_LEAST, _AT_MOST = 0.5, 2.0
# Below this share of the floor a distance is none.
_NEGLIGIBLE = 0.25
# By how many blocks the memory holds: which of its places are empty (blocks, place), and how much further
# than it says a sensor must go, for what half a memory says is half believed (blocks,).
_EMPTY = np.arange(BLOCKS) >= np.arange(BLOCKS + 1)[:, None]
_FURTHER = BLOCKS / np.maximum(np.arange(BLOCKS + 1), 1)


class Learning:
    """Learns from windows and from blocks that are full.

    Parameters
    ----------
    quantities : of the features.
    floors : the least unit of each one (feature,).
    """

    def __init__(self, quantities: Quantities, floors: FloatArray) -> None:
        self._of = quantities
        self._floors = floors[None]  # (1, feature), for NumPy is quickest with what has one shape
        told = self._floors[:, quantities.telling]
        # One that is alone never comes apart.
        self._apart = np.where(quantities.shared, _APART_FLOORS * told, np.inf)
        self._negligible = _NEGLIGIBLE * told

    def steps(self, windows: FloatArray) -> NDArray[np.uint8]:
        """Return in which of the coarse steps the sensors in windows may report: (window, feature)."""
        # Of what stands side by side `all` takes a tenth of the time: (coarse step, step, window, feature).
        counts = windows.swapaxes(0, 1).copy() / _COARSE_STEPS[1:-1, None, None, None]
        fit = (np.abs(counts - np.rint(counts)) < _ROUNDING).all(axis=1)
        coarsest: NDArray[np.uint8] = (fit * _NUMBERS).max(axis=0)  # (window, feature)
        return self._of.each(self._of.largest(coarsest))

    def close(self, kept: NDArray[Any]) -> None:
        """Learn from the block that is full in each of these records (group,), which are changed.

        When readings come one by one, a block costs what its calls of NumPy do, of however little. So there
        are few: of all windows at once, of what is told and not of all features, of records copied whole.
        """
        full = kept["full"].astype(np.intp) - 1  # blocks before these (group,)
        kept["full"] = 0
        of, young = self._of, _young(full)
        opened = kept["open"].swapaxes(0, 1)  # (window, group, feature)
        windows = np.empty((WINDOWS + 1, *opened.shape[1:]))  # their medians, and last their block's
        windows[:-1] = opened
        windows[-1] = block = middle(windows[:-1])  # (group, feature)
        aparts = of.apart(windows)
        apart = aparts[-1]  # (group, told), as all that follow
        normal, usual = kept["normal"].astype(np.float64), kept["usual"].astype(np.float64)
        level, last = normal[:, 0].take(of.telling, axis=1), normal[:, 2]
        if young is not None:  # a group was before its first block as it is in it
            first = full[:, None] == 0
            np.copyto(level, apart, where=first)
            np.copyto(last, block, where=first)
        strays, moves = np.abs(aparts - level), block - last
        distances = middle(strays[:-1])
        if young is not None:
            np.copyto(usual, distances, where=first)
        apart_steps, unit_steps = _LEAST_STEPS.take(kept["coarse"].take(of.telling, axis=1), axis=1)
        bound = np.maximum(np.maximum(_APART * usual, self._apart), apart_steps)
        moved = of.shared_size(moves)
        left, suspect = self._came_apart(kept, full, young, apart, level, strays[-1], bound, moved)
        kept["held"] = suspect
        share = (1 / (full + 1.0))[:, None]  # of all blocks
        grown = self._grown(usual, distances, share)
        np.copyto(grown, usual, where=left)
        kept["usual"] = grown
        if np.count_nonzero(suspect):  # it teaches nothing, and is expected to go where the others do
            stands = of.everywhere(level)  # (group, feature)
            expected = stands + of.each(of.quietest(moves, block - stands))
            np.copyto(block, expected, where=of.each(suspect))
            np.copyto(apart, level, where=suspect)
        kept["ring"][np.arange(len(kept)), full % BLOCKS] = apart
        unit = np.maximum(_MORE_THAN_USUAL * (1 + _MORE_WHILE_YOUNG * share) * grown, unit_steps)
        learnt = kept["normal"]
        learnt[:, 0] = of.everywhere(_level(kept["ring"], full, young, level))
        learnt[:, 1] = np.maximum(of.each(unit), self._floors)
        learnt[:, 2] = block

    def _came_apart(
        self,
        kept: NDArray[Any],
        full: IndexArray,
        young: _Mask | None,
        apart: FloatArray,
        level: FloatArray,
        stray: FloatArray,
        bound: FloatArray,
        moved: FloatArray,
    ) -> tuple[_Mask, _Mask]:
        """Return which sensors' blocks are no rest to learn from, and which of those are held: (group, told).

        Parameters
        ----------
        kept, full, young : records, blocks before (group,), and those that `_young` found.
        apart, level, stray, bound, moved : how far they stand apart, did so far, how far that is from there,
            may be, and how far all have moved since the last block (group, told).
        """
        ring, wide = kept["ring"].astype(np.float64), UNIT_GROWTH_PER_MOVE * moved
        if young is None:
            wide += bound
        else:
            blocks = np.minimum(full, BLOCKS)
            np.copyto(ring, level[:, None], where=_EMPTY.take(blocks, axis=0)[:, :, None])
            wide += bound * _FURTHER.take(blocks)[:, None]
        ring.sort(axis=1)  # where there are few, sooner done than to look for both ends
        # What leaves slowly is followed, as when the sun comes round to one of two sensors. So is
        # what goes where it was a while ago: it comes back.
        leaves = further = (apart < ring[:, 0] - wide) | (apart > ring[:, -1] + wide)
        if young is not None:
            further = leaves & (~young | (np.abs(apart) > np.abs(level)))
        suspect = further | kept["held"] & (stray > bound)
        return leaves | suspect, suspect

    def _grown(self, usual: FloatArray, distances: FloatArray, share: FloatArray) -> FloatArray:
        """Return the distance at rest after a block.

        Parameters
        ----------
        usual, distances : before it, and in it (group, told).
        share : of all blocks that this one is (group, 1).
        """
        most = _AT_MOST * np.maximum(usual, self._negligible)
        bounded = np.minimum(np.maximum(distances, _AT_LEAST * usual), most)
        grown: FloatArray = usual + (bounded - usual) * np.maximum(share, _WEIGHTS.take(distances > usual))
        return grown


def _young(full: IndexArray) -> _Mask | None:
    """Return whose memory has room, by the blocks before (group,): (group, 1); None, most often, if nobody's.

    To learn of the others takes half the time.
    """
    young = full[:, None] < BLOCKS
    return young if np.count_nonzero(young) else None


def _level(ring: FloatArray, full: IndexArray, young: _Mask | None, before: FloatArray) -> FloatArray:
    """Return how far sensors stand apart by the last blocks (group, block, told): (group, told).

    Parameters
    ----------
    full, young : blocks before the newest one (group,), and those that `_young` found.
    before : how far they stood apart before it (group, told).
    """
    ring = ring.astype(np.float64)
    if young is None:
        ring.sort(axis=1)
        middle_one: FloatArray = ring[:, BLOCKS // 2]
        return middle_one
    low, high = middles(ring, full + 1)
    # Where there are two in the middle, never between them, where no block may have been.
    return np.minimum(np.maximum(before, low), high)
