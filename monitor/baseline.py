"""Windows -> the same windows as their group's own normal shows them: the same everywhere, on any plant.

A plant warms up and cools down, and all its sensors with it; a fault is what one sensor does and those beside
it don't. So what is left of a window here is how far the sensors of one quantity (names that differ after
the last `_` only) stray from what they have in common, beyond how far they always do, in units of how far
this group's do at rest. What they do together is the plant, and is taken off.

What is normal is learnt from what comes, in blocks of three windows that share no reading, and a level is the
median of the last twelve blocks: windows of three readings have a verdict from a group's tenth reading on,
and 108 readings make the memory. Once that is full, a sensor that has come apart from the others since the
last block teaches nothing: its level follows theirs until it comes back, however long that takes. When all
move together the plant has moved, and the levels follow. A sensor without another beside it is always
followed: nothing tells its fault from the plant.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.grouped import Grouped
from monitor.medians import median, median_of_first
from monitor.quantities import Quantities
from monitor.records import FloatArray
from monitor.rows import IndexArray

__all__ = ["Baseline", "BaselineStage", "NoBaseline", "build"]

_Mask = NDArray[np.bool_]

_VERSION = 1
_WINDOWS = 3  # in a block
_BLOCKS = 12  # in the memory
# The unit is so many times the distance that sensors usually keep: a noisy group is given more room.
_MORE_THAN_USUAL = 1.4
# Where the plant moves, one of its sensors is there before the other: the unit grows by this share of the way
# that all have gone since the last block.
_MORE_ON_THE_MOVE = 0.25
# Sensors have come apart beyond so many times their usual distance, or 1.5 times the floor.
_APART, _APART_FLOORS = 3.0, 1.5
# What a sensor reports in coarse steps jumps by a step for nothing: in steps, of a unit and of coming apart.
_STEP_UNIT, _STEP_APART = 0.3, 0.7
_COARSE_STEPS = (0.1, 0.2, 0.5, 1.0)
_ROUNDING = 1e-4
# How much one block counts for the usual distance: it grows faster than it shrinks, twofold a block at most.
_SLOW, _FAST, _AT_MOST = 1 / 32, 1 / 10, 2.0
# Below this share of the floor a distance is none.
_NEGLIGIBLE = 0.25


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How each group's own normal is found, as the manifest has it."""

    floors: tuple[float, ...]
    """The least unit of each feature, in its own: healthy sensors may differ by a few of them (feature,)."""
    version: Literal[1] = 1
    """Of this module's rules."""


class BaselineStage:
    """Keeps each group's own normal, and shows windows in it.

    Parameters
    ----------
    names : the features, in order.
    baseline : from the manifest.
    """

    def __init__(self, names: Sequence[str], baseline: Baseline) -> None:
        self._quantities = Quantities(names)
        self._floors = np.array(baseline.floors, dtype=np.float64)
        count = len(names)
        self._kept = Grouped(
            "baseline",
            (_VERSION, count, _BLOCKS),
            [
                ("phase", "u1"),  # windows since the last one that was taken, modulo steps
                ("held", "u1"),  # windows in the block that isn't full yet
                ("blocks", "<u4"),  # how many there have been
                ("open", "<f4", (2, _WINDOWS, count)),  # medians and distances of its windows
                ("ring", "<f4", (_BLOCKS, count)),  # medians of the last blocks
                ("usual", "<f4", (count,)),  # distance at rest
                ("step", "<f4", (count,)),  # in which it reports, where coarse
                ("normal", "<f4", (3, count)),  # levels, units, and the last block
            ],
            {"step": np.inf},
        )

    def push(self, groups: Sequence[str], windows: FloatArray) -> tuple[FloatArray, _Mask]:
        """Take windows in, each group's in order; return each one's normal, and whether there is one yet.

        Parameters
        ----------
        groups : (window,)
        windows : raw values (window, step, feature).

        Returns
        -------
        normals : levels, units and where the last block was, learnt of earlier windows: (window, 3, feature).
        ready : (window,)
        """
        rows = self._kept.find(groups)
        if len(set(groups)) == len(groups):
            return self._push_once(rows, windows)
        return self._push_repeatedly(rows, windows)

    def _push_once(self, rows: IndexArray, windows: FloatArray) -> tuple[FloatArray, _Mask]:
        """Take in one window of each group (window,): as the other does, in 10 µs in place of 75."""
        records = self._kept.records
        ready = records["blocks"][rows] > 0
        normals = records["normal"][rows].astype(np.float64)
        phases = records["phase"][rows]
        records["phase"][rows] = (phases + 1) % windows.shape[1]
        new = np.flatnonzero(phases == 0)
        if len(new):
            taken = rows[new]
            slots = records["held"][taken]
            records["held"][taken] = (slots + 1) % _WINDOWS
            self._add(taken, slots, windows[new])
            self._close(taken[slots == _WINDOWS - 1])
        return normals, ready

    def _push_repeatedly(self, found: IndexArray, windows: FloatArray) -> tuple[FloatArray, _Mask]:
        """Take in any number of windows of each group (window,), in order."""
        count, steps = windows.shape[:2]
        records = self._kept.records
        order = np.argsort(found, kind="stable")
        rows = found[order]
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        sizes = np.diff(starts, append=count)
        phases = np.repeat(records["phase"][rows[starts]].astype(np.intp), sizes)
        places = phases + np.arange(count) - np.repeat(starts, sizes)  # (window,)
        taken = places % steps == 0
        # Windows that the group's block holds before each window, those of blocks filled on the way included.
        held = np.repeat(records["held"][rows[starts]].astype(np.intp), sizes)
        held += -(-places // steps) - -(-phases // steps)
        lasts = starts + sizes - 1
        records["phase"][rows[lasts]] = (places[lasts] + 1) % steps
        records["held"][rows[lasts]] = (held[lasts] + taken[lasts]) % _WINDOWS
        normals = np.empty((count, 3, windows.shape[2]))
        ready = np.empty(count, dtype=np.bool_)
        block = held // _WINDOWS
        by_block = np.argsort(block, kind="stable")
        ends = np.cumsum(np.bincount(block)) if count else ()
        for part in np.split(by_block, ends)[:-1]:  # one block at a time, of all groups
            ready[order[part]] = records["blocks"][rows[part]] > 0
            normals[order[part]] = records["normal"][rows[part]]
            new = part[taken[part]]
            slots = held[new] % _WINDOWS
            self._add(rows[new], slots, windows[order[new]])
            self._close(rows[new[slots == _WINDOWS - 1]])
        return normals, ready

    def show(self, windows: FloatArray, normals: FloatArray) -> FloatArray:
        """Show raw windows (window, step, feature) in their normals (window, 3, feature); the shape stays."""
        moves = self._quantities.shared_size(windows - normals[:, 2:])  # (window, step, feature)
        return self._quantities.apart(windows - normals[:, :1]) / (
            normals[:, 1:2] + _MORE_ON_THE_MOVE * moves
        )

    def usual(self, window: FloatArray, normal: FloatArray) -> FloatArray:
        """Return what the sensors would read if they did as the one of their quantity that moved least.

        Parameters
        ----------
        window : raw values (step, feature).
        normal : of its group (2, feature).
        """
        usual: FloatArray = normal[0] + self._quantities.quietest(window - normal[0])
        return usual

    def _add(self, rows: IndexArray, slots: IndexArray, windows: FloatArray) -> None:
        """Put windows into the open blocks of groups: (window,), (window,), (window, step, feature)."""
        records = self._kept.records
        medians = median(windows, axis=1)  # (window, feature)
        levels = np.where(records["blocks"][rows, None] > 0, records["normal"][rows, 0], medians)
        distances = np.abs(self._quantities.apart(windows - levels[:, None]))  # (window, step, feature)
        records["open"][rows, 0, slots] = medians
        records["open"][rows, 1, slots] = median(distances, axis=1)
        coarse = records["step"][rows].any(axis=1)  # of most there is nothing more to learn
        self._refine(rows[coarse], windows[coarse])

    def _refine(self, rows: IndexArray, windows: FloatArray) -> None:
        """Learn in which steps sensors report: (window,), (window, step, feature)."""
        steps = np.zeros((len(windows), windows.shape[2]))
        for step in _COARSE_STEPS:
            counts = windows / step
            steps[(np.abs(counts - np.rint(counts)) < _ROUNDING).all(axis=1)] = step
        np.minimum.at(self._kept.records["step"], rows, self._quantities.largest(steps))

    def _close(self, rows: IndexArray) -> None:
        """Learn from blocks that are full: (group,)."""
        if not len(rows):
            return
        records = self._kept.records
        blocks = records["blocks"][rows].astype(np.intp)
        medians, distances = np.moveaxis(median(records["open"][rows], axis=2), 1, 0)  # (group, feature)
        first = blocks[:, None] == 0
        usual = np.where(first, distances, records["usual"][rows]).astype(np.float64)
        level = np.where(first, medians, records["normal"][rows, 0]).astype(np.float64)
        last = np.where(first, medians, records["ring"][rows, (blocks - 1) % _BLOCKS]).astype(np.float64)
        step = records["step"][rows]
        moved = medians - level
        suspect = self._came_apart(moved, last - level, usual, step) & (blocks[:, None] >= _BLOCKS)
        others = self._quantities.quietest(moved)
        astray = suspect & (np.abs(moved) > np.abs(others))
        records["normal"][rows, 2] = np.where(astray, level + others, medians)
        records["ring"][rows, blocks % _BLOCKS] = records["normal"][rows, 2]
        weight = np.maximum(1 / (blocks[:, None] + 1), np.where(distances > usual, _FAST, _SLOW))
        most = _AT_MOST * np.maximum(usual, _NEGLIGIBLE * self._floors)
        grown = usual + (np.clip(distances, usual / _AT_MOST, most) - usual) * weight
        usual = np.where(suspect, usual, grown)
        records["usual"][rows] = usual
        records["blocks"][rows] = blocks + 1
        records["normal"][rows, 0] = median_of_first(records["ring"][rows], blocks + 1)
        units = np.maximum(_MORE_THAN_USUAL * usual, self._floors)
        records["normal"][rows, 1] = np.maximum(units, _STEP_UNIT * step)

    def _came_apart(
        self, moved: FloatArray, before: FloatArray, usual: FloatArray, step: FloatArray
    ) -> _Mask:
        """Return which features' blocks left the others' of their quantity, at once: (group, feature).

        What leaves slowly is followed, as when the sun comes round to one of two sensors.
        """
        apart = self._quantities.apart(moved)
        jump = apart - self._quantities.apart(before)
        bound = np.maximum(np.maximum(_APART * usual, _APART_FLOORS * self._floors), _STEP_APART * step)
        bound += _MORE_ON_THE_MOVE * self._quantities.shared_size(moved - before)
        found: _Mask = (np.abs(apart) > bound) & (np.abs(jump) > bound) & self._quantities.shared
        return found

    def groups(self) -> list[str]:
        """Return the names of all groups that have state here."""
        return self._kept.names()

    def dump(self, group: str) -> bytes:
        """Return what is kept for a group, if anything, as a value that `load` takes."""
        return self._kept.dump(group)

    def load(self, group: str, value: bytes) -> None:
        """Put back what `dump` returned, here or in another instance; `NoBaseline`'s is a fresh start.

        Raises
        ------
        ValueError : the value is damaged, of another version or of another shape.
        """
        if value:
            self._kept.load(group, value)
        else:
            self._kept.forget(group)

    def forget(self, group: str) -> None:
        """Drop a group: what comes next is its normal."""
        self._kept.forget(group)


class NoBaseline:
    """In the stage's place where a bundle has none: windows are judged as they come."""

    def push(self, groups: Sequence[str], windows: FloatArray) -> tuple[FloatArray, _Mask]:
        """Return levels 0 and units 1 for each, and that all are ready."""
        normals = np.zeros((len(groups), 3, windows.shape[2]))
        normals[:, 1] = 1
        return normals, np.ones(len(groups), dtype=np.bool_)

    def show(self, windows: FloatArray, normals: FloatArray) -> FloatArray:  # noqa: ARG002 - as the stage's
        """Return the windows as they are."""
        return windows

    def usual(self, window: FloatArray, normal: FloatArray) -> None:
        """Return nothing: what is usual is the training mean."""

    def groups(self) -> list[str]:
        """Return none."""
        return []

    def dump(self, group: str) -> bytes:  # noqa: ARG002 - as the stage's
        """Return nothing."""
        return b""

    def load(self, group: str, value: bytes) -> None:
        """Let go of what a bundle with a baseline knew."""

    def forget(self, group: str) -> None:
        """Know nothing."""


def build(names: Sequence[str], baseline: Baseline | None) -> BaselineStage | NoBaseline:
    """Return the stage for features `names`, as a manifest describes it."""
    return NoBaseline() if baseline is None else BaselineStage(names, baseline)
