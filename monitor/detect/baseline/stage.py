"""Windows -> the baseline of each window, which is learnt from earlier windows of the same group.

A plant warms up and cools down, and all its sensors follow. A fault is a change of one sensor that its
neighbours do not show. So a model with a baseline judges *deviations*: how far a sensor is from the median of
the sensors of its quantity (names that differ only after the last `_`), minus this distance's usual value,
divided by its usual variation in this group. A change that all sensors of a
quantity show together is a change of the plant, and subtracting the median removes it. Such deviations look
the same on every plant.

The baseline is learnt from the group's own windows, in *blocks* of three windows that share no reading. The
level of a sensor, its usual deviation, is the median over the last eleven blocks. With windows of three
readings, a group gets verdicts from its tenth reading on, and 99 readings fill the history.

A sensor that has departed from the others since the last block is *held*: nothing is learnt from it, its
level stays, and its expected value moves with its neighbours until it comes back, however long that takes.
While the history is not full, the usual deviations are not well known. Then a sensor departs only at a larger
distance, and only if its deviation grows: if it shrinks, a fault is ending. When all sensors move together,
the plant has changed, and the baseline follows. The baseline of a sensor without neighbours always follows
its value, because a fault of the sensor can't be distinguished from a change of the plant.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.manifest import BASELINE_VERSION, BaselineSpec
from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.medians import median_high
from monitor.core.quantities import Quantities
from monitor.detect.baseline.blocks import WINDOWS_PER_BLOCK, find_block_ends, split_by_block
from monitor.detect.baseline.learning import BaselineUpdate
from monitor.detect.baseline.no_baseline import NoBaseline
from monitor.detect.baseline.state import IS_FULL, BaselineTable

__all__ = ["BaselineStage", "NoBaseline", "build"]

_Mask = NDArray[np.bool_]

# A unit that differs by more than this share from the one that was published has changed much.
_MAX_UNIT_CHANGE = 0.2
# With at least this many full blocks, `learn_pending` learns from them all at once. When the blocks of all
# groups became full at the same time and were learnt one by one, readings queued up: one block takes 0.09 ms,
# with cold caches 0.5 ms, and 32 blocks together take 0.11 ms.
_LEARN_BATCH_BLOCKS = 32


class BaselineStage:
    """Learns the baseline of each group, and returns it for each window.

    Parameters
    ----------
    quantities : the quantity of each feature (feature,).
    baseline : parameters from the manifest.
    """

    def __init__(self, quantities: Sequence[str], baseline: BaselineSpec) -> None:
        self._quantities = Quantities(quantities)
        self._update = BaselineUpdate(self._quantities, np.array(baseline.floors, dtype=np.float64))
        self._table = BaselineTable(BASELINE_VERSION, len(quantities), len(self._quantities.representatives))
        self._pending_rows: list[IndexArray] = []  # rows of groups whose block is full and not learnt yet

    def push(
        self, groups: Sequence[str], windows: FloatArray, ts: FloatArray, is_true: _Mask | None = None
    ) -> tuple[FloatArray, _Mask]:
        """Process windows, in order within each group, and return the baseline of each window.

        Parameters
        ----------
        groups : the group of each window (window,).
        windows : raw values (window, step, feature).
        ts : event times, seconds (window, step).
        is_true : whether all values of a window can be true (window,); of others nothing is learnt. None: all
            can.

        Returns
        -------
        baselines : baseline learnt from earlier windows of the group, in the feature's unit: (window, 3,
            feature). First the level: the usual deviation from the median of the quantity, or the usual value
            of a sensor without neighbours. Second the unit of deviations. Third the values of the last block.
        ready : whether the group had a baseline before the window (window,); if not, its baseline has no
            meaning.
        """
        rows = self._table.find_or_add(groups)
        if len(rows) == 1:
            return self._push_one(rows, windows, ts, is_true)
        if len(set(groups)) == len(groups):
            return self._push_distinct(rows, windows, ts, is_true)
        return self._push_repeated(rows, windows, ts, is_true)

    def _push_one(
        self, rows: IndexArray, windows: FloatArray, ts: FloatArray, is_true: _Mask | None
    ) -> tuple[FloatArray, _Mask]:
        """Process one window: as `_push_distinct`, at two thirds of its cost."""
        table, row, steps = self._table, int(rows[0]), windows.shape[1]
        windows_seen, is_learnt = int(table.windows_seen[row]), is_true is None or bool(is_true[0])
        has_block = bool(table.blocks[row])  # before this window
        table.windows_seen[row] = windows_seen + is_learnt
        if ts[0, -1] > table.expires_at[row]:
            baselines = self._read(rows, windows, ts)
        else:
            baselines = table.baseline[row].astype(np.float64)[None]
        if is_learnt and windows_seen % steps == 0:
            self._add_to_blocks(rows, np.array([windows_seen // steps]), windows, ts)
        return baselines, np.array([windows_seen > (WINDOWS_PER_BLOCK - 1) * steps and has_block])

    def _push_distinct(
        self, rows: IndexArray, windows: FloatArray, ts: FloatArray, is_true: _Mask | None
    ) -> tuple[FloatArray, _Mask]:
        """Process windows of distinct groups (window,): as `_push_repeated`, at a fraction of its cost."""
        table, steps = self._table, windows.shape[1]
        windows_seen, has_block = table.windows_seen[rows], table.blocks[rows] > 0
        is_disjoint = windows_seen % steps == 0
        if is_true is None:
            table.windows_seen[rows] = windows_seen + 1
        else:
            table.windows_seen[rows] = windows_seen + is_true
            is_disjoint &= is_true
        baselines = self._read(rows, windows, ts)
        disjoint = is_disjoint.nonzero()[0]
        if len(disjoint):
            self._add_to_blocks(
                rows[disjoint],
                windows_seen[disjoint].astype(np.intp) // steps,
                windows.take(disjoint, axis=0),
                ts.take(disjoint, axis=0),
            )
        return baselines, (windows_seen > (WINDOWS_PER_BLOCK - 1) * steps) & has_block

    def _push_repeated(
        self, unsorted_rows: IndexArray, windows: FloatArray, ts: FloatArray, is_true: _Mask | None
    ) -> tuple[FloatArray, _Mask]:
        """Process windows (window,), any number of each group, in order within each group."""
        count, steps = windows.shape[:2]
        table = self._table
        order = np.argsort(unsorted_rows, kind="stable")
        rows = unsorted_rows[order]
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        sizes = np.diff(starts, append=count)
        firsts = rows[starts]
        windows_seen = table.windows_seen[firsts].astype(np.intp)
        is_learnt = np.ones(count, dtype=np.bool_) if is_true is None else is_true[order]
        learnt_before = np.cumsum(is_learnt) - is_learnt  # in the batch (window,)
        table.windows_seen[firsts] = windows_seen + np.add.reduceat(is_learnt, starts, dtype=np.intp)
        # For each window (window,): its number among all windows of its group, from 0; whether it is added to
        # a block, as every `steps`-th window is; and the numbers of such windows before it, and of blocks
        # that the batch filled before it.
        window_numbers = np.repeat(windows_seen - learnt_before[starts], sizes) + learnt_before
        is_disjoint = is_learnt & (window_numbers % steps == 0)
        disjoint_before = -(-window_numbers // steps)
        disjoint = is_disjoint.nonzero()[0]
        is_last = np.zeros(count, dtype=np.bool_)
        is_last[disjoint] = find_block_ends(
            rows[disjoint], disjoint_before[disjoint], ts[order[disjoint]], table.is_slow
        )
        blocks_filled: IndexArray = np.cumsum(is_last) - is_last
        blocks_filled -= np.repeat(blocks_filled[starts], sizes)
        is_ready = np.empty(count, dtype=np.bool_)
        has_block = np.repeat(table.blocks[firsts] > 0, sizes) | (blocks_filled > 0)
        is_ready[order] = (window_numbers > (WINDOWS_PER_BLOCK - 1) * steps) & has_block
        baselines = np.empty((count, 3, windows.shape[2]))
        for part in split_by_block(blocks_filled):  # one block at a time, for all groups together
            self._learn_full_blocks()
            places = order[part]
            baselines[places] = self._read(rows[part], windows[places], ts[places])
            disjoint = part[is_disjoint[part]]
            if len(disjoint):
                places = order[disjoint]
                self._add_to_blocks(rows[disjoint], disjoint_before[disjoint], windows[places], ts[places])
        return baselines, is_ready

    def _read(self, rows: IndexArray, windows: FloatArray, ts: FloatArray) -> FloatArray:
        """Return the baselines of windows, after learning their groups' full blocks: (window, 3, feature).

        Where the last block is no longer recent, the window's own median replaces it: the plant may have
        moved at any time since.
        """
        table, ends = self._table, ts[:, -1]
        if not np.count_nonzero(ends > table.expires_at[rows]):
            return table.baseline[rows].astype(np.float64)
        self._learn_full_blocks()
        baselines: FloatArray = table.baseline[rows].astype(np.float64)
        is_expired = ends > table.expires_at[rows]
        baselines[is_expired, 2] = median_high(windows[is_expired].swapaxes(0, 1))
        return baselines

    def expected(self, windows: FloatArray, baselines: FloatArray) -> FloatArray:
        """Return the values that the sensors should have: (..., step, feature).

        Each sensor is expected to be as far from its level as the sensor that moved least, among those of its
        quantity, since the last block. A sensor without neighbours is expected at its level.

        Parameters
        ----------
        windows : raw values (..., step, feature).
        baselines : baseline of each window's group (..., 3, feature).
        """
        quantities, levels, last_blocks = self._quantities, baselines[..., :1, :], baselines[..., 2:, :]
        expected_values: FloatArray = levels + quantities.expand(
            quantities.select_least_moved(windows - last_blocks, windows - levels)
        )
        return expected_values

    def value_spans(self, groups: Sequence[str]) -> FloatArray:
        """Return how far each sensor's values ranged, in the feature's unit: (group, feature).

        NaN before the first block. What a held sensor should have had counts in its place.
        """
        value_range = self._table.value_range[self._table.find_or_add(groups)]  # (group, 2, feature)
        spans: FloatArray = (value_range[:, 1] - value_range[:, 0]).astype(np.float64)
        return spans

    def usual_units(self, group: str, move_growth: FloatArray | float) -> FloatArray | None:
        """Return a group's units while the plant moves as it usually does: (feature,).

        None if the group has no baseline yet.

        Parameters
        ----------
        move_growth : growth of each feature's unit per common move, see `DeviationTransform`.
        """
        row = self._table.row(group)
        if row is None:
            return None
        units = self._compute_usual_units(self._table.records[row : row + 1], move_growth)[0]
        return None if np.isnan(units).any() else units

    def all_usual_units(self, move_growth: FloatArray | float) -> FloatArray:
        """Return `usual_units` of all groups: (row, feature). Any thread may call this.

        A row is that of a group, or of no group; NaN where there is no baseline.
        """
        return self._compute_usual_units(self._table.records, move_growth)

    def _compute_usual_units(self, records: NDArray[Any], move_growth: FloatArray | float) -> FloatArray:
        units = records["baseline"][:, 1].astype(np.float64)
        usual_units: FloatArray = units + move_growth * self._quantities.expand(records["usual_move"])
        return np.where(units > 0, usual_units, np.nan)

    def mark_published(self, group: str, move_growth: FloatArray | float) -> None:
        """Record that something computed from the group's usual units was published."""
        row = self._table.row(group)
        if row is not None:
            record = self._table.records[row : row + 1]
            record["published_unit"] = np.nan_to_num(self._compute_usual_units(record, move_growth))

    def find_changed(self, move_growth: FloatArray | float) -> list[str]:
        """Return the groups one of whose usual units has changed much since it was published."""
        published = self._table.records["published_unit"]
        units = self._compute_usual_units(self._table.records, move_growth)
        has_changed = np.abs(units - published) > _MAX_UNIT_CHANGE * published  # (row, feature)
        rows = np.flatnonzero((has_changed & (published > 0)).any(axis=1))
        return [self._table.name(row) for row in rows.tolist()]

    def _add_to_blocks(
        self, rows: IndexArray, disjoint_before: IndexArray, windows: FloatArray, ts: FloatArray
    ) -> None:
        """Add windows to the current blocks of their groups.

        Parameters
        ----------
        rows : row of each window's group (window,).
        disjoint_before : number of windows of the same group that were added before (window,).
        windows : raw values (window, step, feature).
        ts : event times (window, step).
        """
        table, update = self._table, self._update
        medians = median_high(windows.swapaxes(0, 1))  # (window, feature)
        resolutions = table.resolution[rows]
        if np.count_nonzero(resolutions):  # most are 0, the finest resolution, which never changes
            is_unresolved = resolutions.any(axis=1)
            np.minimum.at(
                table.resolution, rows[is_unresolved], update.find_resolutions(windows[is_unresolved])
            )
        slots = disjoint_before % WINDOWS_PER_BLOCK
        table.open_medians[rows, slots] = medians
        is_last = slots == WINDOWS_PER_BLOCK - 1
        is_slow = table.is_slow[rows]
        if np.count_nonzero(is_slow):
            is_last |= is_slow
        completed = is_last.nonzero()[0]
        if len(completed):
            full_rows = rows[completed]
            table.complete_blocks(full_rows, slots[completed], medians[completed], ts[completed])
            self._pending_rows.append(full_rows)

    def learn_pending(self) -> None:
        """Learn from the full blocks if there are many; otherwise wait for their groups' next windows."""
        if sum(map(len, self._pending_rows)) >= _LEARN_BATCH_BLOCKS:
            self._learn_full_blocks()

    def _learn_full_blocks(self) -> None:
        if not self._pending_rows:
            return
        table, rows = self._table, np.concatenate(self._pending_rows)
        self._pending_rows.clear()
        records = table.records.take(rows)  # takes no longer than a single field
        self._update.apply(records)
        table.records.put(rows, records)

    def groups(self) -> list[str]:
        """Return the names of all groups with state."""
        return self._table.names()

    def dump(self, group: str) -> bytes:
        """Return a group's state as bytes for `load`; an unknown group is dumped like a new group."""
        return self._table.dump(group)

    def load(self, group: str, value: bytes) -> None:
        """Set a group's state from bytes that `dump` returned, here or in another instance.

        The empty value of `NoBaseline.dump` removes the state, so that the group's baseline is learnt again.

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
        if not self._table.is_possible(row[0]):
            self._table.forget(group)
            raise ValueError(f"baseline state of {group!r} has numbers that no readings lead to")
        if self._table.expires_at[row[0]] == IS_FULL:
            self._pending_rows.append(row)

    def forget(self, group: str) -> None:
        """Remove a group's state: its baseline is learnt again from its next windows."""
        self._learn_before_removal(group)
        self._table.forget(group)

    def _learn_before_removal(self, group: str) -> None:
        """Learn all pending blocks if this group, whose row will be overwritten, has a pending block."""
        row = self._table.row(group)
        if row is not None and self._table.expires_at[row] == IS_FULL:
            self._learn_full_blocks()


def build(quantities: Sequence[str], baseline: BaselineSpec | None) -> BaselineStage | NoBaseline:
    """Return the baseline stage for a bundle.

    Parameters
    ----------
    quantities : the quantity of each feature (feature,).
    baseline : parameters from the manifest; None for a bundle without baseline.
    """
    return NoBaseline() if baseline is None else BaselineStage(quantities, baseline)
