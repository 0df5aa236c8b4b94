"""Windows -> the same windows as their group's own normal shows them: the same everywhere, on any plant.

A plant warms up and cools down, and all its sensors with it; a fault is what one sensor does and those beside
it don't. So what is left of a window here is how far the sensors of one quantity (names that differ after
the last `_` only) stray from what they have in common, beyond how far they always do, in units of how far
this group's do at rest. What they do together is the plant, and is taken off.

What is normal is learnt from what comes, in blocks of three windows that share no reading, and a level is the
median of the last eleven blocks: windows of three readings have a verdict from a group's tenth reading on,
and 99 readings make the memory. A sensor that has come apart from the others since the last block teaches
nothing: its level follows theirs until it comes back, however long that takes. While the memory fills, less
is known: they must come further apart, and further than they stood before, for what comes together is a fault
that ends. When all move together the plant has moved, and the levels follow. A sensor without another beside
it is always followed: nothing tells its fault from the plant.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.manifest import VERSION, Baseline
from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.medians import middle
from monitor.core.quantities import Quantities
from monitor.detect.baseline.learning import WINDOWS, Learning
from monitor.detect.baseline.no_baseline import NoBaseline
from monitor.detect.baseline.state import Normals

__all__ = ["BaselineStage", "NoBaseline", "build"]

_Mask = NDArray[np.bool_]

# So many full blocks are learnt as soon as nobody waits. Where a plant's groups are in step and each learnt
# its own, readings queued up: alone one takes 0.09 ms, and 0.5 with cold caches, and 32 together take 0.11.
_MANY = 32


class BaselineStage:
    """Keeps each group's own normal, and shows windows in it.

    Parameters
    ----------
    names : the features, in order.
    baseline : from the manifest.
    """

    def __init__(self, names: Sequence[str], baseline: Baseline) -> None:
        self._quantities = Quantities(names)
        self._learning = Learning(self._quantities, np.array(baseline.floors, dtype=np.float64))
        self._kept = Normals(VERSION, len(names), len(self._quantities.telling))
        self._full: list[IndexArray] = []  # rows of groups whose block is full and not learnt yet

    def push(self, groups: Sequence[str], windows: FloatArray) -> tuple[FloatArray, _Mask]:
        """Take windows in, each group's in order; return each one's normal, and whether there is one yet.

        Parameters
        ----------
        groups : (window,)
        windows : raw values (window, step, feature).

        Returns
        -------
        normals : how far sensors of a quantity stand apart (one that is alone: from 0), units, and where the
            last block was, learnt of earlier windows: (window, 3, feature).
        ready : (window,)
        """
        rows = self._kept.find(groups)
        if len(set(groups)) == len(groups):
            return self._push_once(rows, windows)
        return self._push_repeatedly(rows, windows)

    def _push_once(self, rows: IndexArray, windows: FloatArray) -> tuple[FloatArray, _Mask]:
        """Take in one window of each group (window,), as the other does, at a fraction of its price."""
        kept, steps = self._kept, windows.shape[1]
        if self._full and np.count_nonzero(kept.full[rows]):
            self._learn()
        seen = kept.seen[rows]
        kept.seen[rows] = seen + 1
        normals = kept.normal[rows].astype(np.float64)
        new = (seen % steps == 0).nonzero()[0]
        if len(new):
            self._take(rows[new], seen[new].astype(np.intp) // steps, windows.take(new, axis=0))
        return normals, seen > (WINDOWS - 1) * steps

    def _push_repeatedly(self, found: IndexArray, windows: FloatArray) -> tuple[FloatArray, _Mask]:
        """Take in any number of windows of each group (window,), in order."""
        count, steps = windows.shape[:2]
        kept = self._kept
        order = np.argsort(found, kind="stable")
        rows = found[order]
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        sizes = np.diff(starts, append=count)
        firsts = rows[starts]
        seen = kept.seen[firsts].astype(np.intp)
        kept.seen[firsts] = seen + sizes
        places = np.repeat(seen - starts, sizes) + np.arange(count)  # of each window in its group's life
        takes = places % steps == 0
        taken = -(-places // steps)  # before it
        blocks = taken // WINDOWS  # that were full before it
        ready = np.empty(count, dtype=np.bool_)
        ready[order] = blocks > 0
        normals = np.empty((count, 3, windows.shape[2]))
        for part in _turns(blocks - np.repeat(blocks[starts], sizes)):  # a block at a time, of all groups
            self._learn()
            normals[order[part]] = kept.normal[rows[part]]
            new = part[takes[part]]
            if len(new):
                self._take(rows[new], taken[new], windows[order[new]])
        return normals, ready

    def usual(self, window: FloatArray, normal: FloatArray) -> FloatArray:
        """Return what the sensors would read if they did as the one of their quantity that moved least.

        Parameters
        ----------
        window : raw values (step, feature).
        normal : of its group (3, feature).
        """
        of, moved = self._quantities, window - normal[0]
        usual: FloatArray = normal[0] + of.each(of.quietest(window - normal[2], moved))
        return usual

    def _take(self, rows: IndexArray, taken: IndexArray, windows: FloatArray) -> None:
        """Learn from windows (window, step, feature) of groups that took so many before: (window,) each."""
        kept, learning = self._kept, self._learning
        medians = middle(windows.swapaxes(0, 1))  # (window, feature)
        coarse = kept.coarse[rows]
        if np.count_nonzero(coarse):  # of most there is nothing more to learn
            some = coarse.any(axis=1)
            np.minimum.at(kept.coarse, rows[some], learning.steps(windows[some]))
        slots = taken % WINDOWS
        kept.open[rows, slots] = medians
        last = (slots == WINDOWS - 1).nonzero()[0]
        if len(last):
            full = rows[last]
            kept.full[full] = taken[last] // WINDOWS + 1
            self._full.append(full)

    def catch_up(self) -> None:
        """Learn from full blocks, once there are many: none waits longer than to its group's next window."""
        if sum(map(len, self._full)) >= _MANY:
            self._learn()

    def _learn(self) -> None:
        if not self._full:
            return
        kept, rows = self._kept, np.concatenate(self._full)
        self._full.clear()
        records = kept.records.take(rows)  # whole, for as much as one field alone
        self._learning.close(records)
        kept.records.put(rows, records)

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
        if not value:
            self.forget(group)
            return
        self._learn_before_it_goes(group)
        self._kept.load(group, value)
        row = self._kept.find([group])
        if self._kept.full[row[0]]:
            self._full.append(row)

    def forget(self, group: str) -> None:
        """Drop a group: what comes next is its normal."""
        self._learn_before_it_goes(group)
        self._kept.forget(group)

    def _learn_before_it_goes(self, group: str) -> None:
        """See that no block waits in a group's row, which is about to hold something else."""
        row = self._kept.row(group)
        if row is not None and self._kept.full[row]:
            self._learn()


def build(names: Sequence[str], baseline: Baseline | None) -> BaselineStage | NoBaseline:
    """Return the stage for features `names`, as a manifest describes it."""
    return NoBaseline() if baseline is None else BaselineStage(names, baseline)


def _turns(filled: IndexArray) -> list[IndexArray]:
    """Return which windows come after so many blocks that their batch filled, from 0 on: (window,) each."""
    if not filled.any():
        return [np.arange(len(filled))]
    order = np.argsort(filled, kind="stable")
    return np.split(order, np.cumsum(np.bincount(filled))[:-1])
