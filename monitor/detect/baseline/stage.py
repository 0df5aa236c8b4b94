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

from monitor.bundle.manifest import BASELINE_VERSION, BaselineSpec
from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.medians import median_high
from monitor.core.quantities import Quantities
from monitor.detect.baseline.learning import WINDOWS_PER_BLOCK, BaselineUpdate
from monitor.detect.baseline.no_baseline import NoBaseline
from monitor.detect.baseline.state import BaselineTable

__all__ = ["BaselineStage", "NoBaseline", "build"]

_Mask = NDArray[np.bool_]

# So many full blocks are learnt as soon as nobody waits. Where a plant's groups are in step and each learnt
# its own, readings queued up: alone one takes 0.09 ms, and 0.5 with cold caches, and 32 together take 0.11.
_LEARN_BATCH_BLOCKS = 32


class BaselineStage:
    """Keeps each group's own normal, and shows windows in it.

    Parameters
    ----------
    names : the features, in order.
    baseline : from the manifest.
    """

    def __init__(self, names: Sequence[str], baseline: BaselineSpec) -> None:
        self._quantities = Quantities(names)
        self._update = BaselineUpdate(self._quantities, np.array(baseline.floors, dtype=np.float64))
        self._table = BaselineTable(BASELINE_VERSION, len(names), len(self._quantities.representatives))
        self._pending_rows: list[IndexArray] = []  # rows of groups whose block is full and not learnt yet

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
        rows = self._table.find_or_add(groups)
        if len(set(groups)) == len(groups):
            return self._push_distinct(rows, windows)
        return self._push_repeated(rows, windows)

    def _push_distinct(self, rows: IndexArray, windows: FloatArray) -> tuple[FloatArray, _Mask]:
        """Take in one window of each group (window,), as the other does, at a fraction of its price."""
        table, steps = self._table, windows.shape[1]
        if self._pending_rows and np.count_nonzero(table.full_block[rows]):
            self._learn_full_blocks()
        windows_seen = table.windows_seen[rows]
        table.windows_seen[rows] = windows_seen + 1
        baselines = table.baseline[rows].astype(np.float64)
        disjoint = (windows_seen % steps == 0).nonzero()[0]
        if len(disjoint):
            self._add_to_blocks(
                rows[disjoint],
                windows_seen[disjoint].astype(np.intp) // steps,
                windows.take(disjoint, axis=0),
            )
        return baselines, windows_seen > (WINDOWS_PER_BLOCK - 1) * steps

    def _push_repeated(self, unsorted_rows: IndexArray, windows: FloatArray) -> tuple[FloatArray, _Mask]:
        """Take in any number of windows of each group (window,), in order."""
        count, steps = windows.shape[:2]
        table = self._table
        order = np.argsort(unsorted_rows, kind="stable")
        rows = unsorted_rows[order]
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        sizes = np.diff(starts, append=count)
        firsts = rows[starts]
        windows_seen = table.windows_seen[firsts].astype(np.intp)
        table.windows_seen[firsts] = windows_seen + sizes
        window_numbers = np.repeat(windows_seen - starts, sizes) + np.arange(
            count
        )  # of each window in its group's life
        is_disjoint = window_numbers % steps == 0
        disjoint_before = -(-window_numbers // steps)  # before it
        blocks_before = disjoint_before // WINDOWS_PER_BLOCK  # that were full before it
        is_ready = np.empty(count, dtype=np.bool_)
        is_ready[order] = blocks_before > 0
        baselines = np.empty((count, 3, windows.shape[2]))
        for part in _split_by_block(
            blocks_before - np.repeat(blocks_before[starts], sizes)
        ):  # a block at a time, of all groups
            self._learn_full_blocks()
            baselines[order[part]] = table.baseline[rows[part]]
            disjoint = part[is_disjoint[part]]
            if len(disjoint):
                self._add_to_blocks(rows[disjoint], disjoint_before[disjoint], windows[order[disjoint]])
        return baselines, is_ready

    def expected(self, window: FloatArray, baseline: FloatArray) -> FloatArray:
        """Return what the sensors would read if they did as the one of their quantity that moved least.

        Parameters
        ----------
        window : raw values (step, feature).
        baseline : of its group (3, feature).
        """
        quantities, offsets = self._quantities, window - baseline[0]
        expected_values: FloatArray = baseline[0] + quantities.expand(
            quantities.select_least_moved(window - baseline[2], offsets)
        )
        return expected_values

    def _add_to_blocks(self, rows: IndexArray, disjoint_before: IndexArray, windows: FloatArray) -> None:
        """Learn from windows (window, step, feature) of groups that took so many before: (window,) each."""
        table, update = self._table, self._update
        medians = median_high(windows.swapaxes(0, 1))  # (window, feature)
        resolutions = table.resolution[rows]
        if np.count_nonzero(resolutions):  # of most there is nothing more to learn
            is_unresolved = resolutions.any(axis=1)
            np.minimum.at(
                table.resolution, rows[is_unresolved], update.find_resolutions(windows[is_unresolved])
            )
        slots = disjoint_before % WINDOWS_PER_BLOCK
        table.open_medians[rows, slots] = medians
        completed = (slots == WINDOWS_PER_BLOCK - 1).nonzero()[0]
        if len(completed):
            full_rows = rows[completed]
            table.full_block[full_rows] = disjoint_before[completed] // WINDOWS_PER_BLOCK + 1
            self._pending_rows.append(full_rows)

    def learn_pending(self) -> None:
        """Learn from full blocks, once there are many: none waits longer than to its group's next window."""
        if sum(map(len, self._pending_rows)) >= _LEARN_BATCH_BLOCKS:
            self._learn_full_blocks()

    def _learn_full_blocks(self) -> None:
        if not self._pending_rows:
            return
        table, rows = self._table, np.concatenate(self._pending_rows)
        self._pending_rows.clear()
        records = table.records.take(rows)  # whole, for as much as one field alone
        self._update.apply(records)
        table.records.put(rows, records)

    def groups(self) -> list[str]:
        """Return the names of all groups that have state here."""
        return self._table.names()

    def dump(self, group: str) -> bytes:
        """Return what is kept for a group, if anything, as a value that `load` takes."""
        return self._table.dump(group)

    def load(self, group: str, value: bytes) -> None:
        """Put back what `dump` returned, here or in another instance; `NoBaseline`'s is a fresh start.

        Raises
        ------
        ValueError : the value is damaged, of another version or of another shape.
        """
        if not value:
            self.forget(group)
            return
        self._learn_before_removal(group)
        self._table.load(group, value)
        row = self._table.find_or_add([group])
        if self._table.full_block[row[0]]:
            self._pending_rows.append(row)

    def forget(self, group: str) -> None:
        """Drop a group: what comes next is its normal."""
        self._learn_before_removal(group)
        self._table.forget(group)

    def _learn_before_removal(self, group: str) -> None:
        """See that no block waits in a group's row, which is about to hold something else."""
        row = self._table.row(group)
        if row is not None and self._table.full_block[row]:
            self._learn_full_blocks()


def build(names: Sequence[str], baseline: BaselineSpec | None) -> BaselineStage | NoBaseline:
    """Return the stage for features `names`, as a manifest describes it."""
    return NoBaseline() if baseline is None else BaselineStage(names, baseline)


def _split_by_block(blocks_filled: IndexArray) -> list[IndexArray]:
    """Return which windows come after so many blocks that their batch filled, from 0 on: (window,) each."""
    if not blocks_filled.any():
        return [np.arange(len(blocks_filled))]
    order = np.argsort(blocks_filled, kind="stable")
    return np.split(order, np.cumsum(np.bincount(blocks_filled))[:-1])
