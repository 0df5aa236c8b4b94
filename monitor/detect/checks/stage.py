"""Windows -> what the checks find in them: `limits`, `flat` and `drift`, in this order.

`limits` looks at each window alone. `flat` and `drift` keep state, which the first window of each group in
each slot of five minutes updates: of a plant that sends every 5 s one window in 60, so that the checks cost
little where readings come fast. All times are event times.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.bundle.manifest import BaselineSpec, Feature
from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.quantities import Quantities
from monitor.core.rules import CheckRules
from monitor.core.verdicts import Detector
from monitor.detect.checks import drift, flat
from monitor.detect.checks.findings import Findings
from monitor.detect.checks.limits import LimitsRule
from monitor.detect.checks.sensors import Sensors
from monitor.detect.checks.state import SLOT_S, CheckTable

__all__ = ["CheckStage"]

_Mask = NDArray[np.bool_]

_NO_WINDOWS: IndexArray = np.empty(0, dtype=np.intp)


class CheckStage:
    """Looks for faults in windows without a model, and keeps what that takes of each group.

    Parameters
    ----------
    features : the features in order.
    baseline : of the bundle; None if it has none.
    rules : which checks are on, for which groups, and the sentinels.
    """

    def __init__(self, features: Sequence[Feature], baseline: BaselineSpec | None, rules: CheckRules) -> None:
        quantities = Quantities([feature.measured_quantity for feature in features])
        self._rules = rules
        self._sensors = Sensors.from_features(features, baseline)
        self._limits = LimitsRule(self._sensors, rules.sentinels)
        self._flat = flat.FlatRule(self._sensors)
        self._drift = drift.DriftRule(self._sensors, quantities)
        self._representatives = quantities.representatives
        self._table = CheckTable(len(features), len(quantities.representatives))

    def push(self, groups: Sequence[str], ts: FloatArray, windows: FloatArray) -> Findings:
        """Process windows, in order within each group.

        Parameters
        ----------
        groups : the group of each window (window,).
        ts : event time of the newest reading of each window, seconds since the Unix epoch (window,).
        windows : raw values (window, step, feature).
        """
        detectors = np.zeros(len(groups), dtype=np.uint8)
        is_true = None
        unusual = self._limits.find_unusual(windows)
        if len(unusual):
            is_true = self._apply_limits(detectors, unusual, groups, windows)
        # An impossible value is neither that of a flat sensor nor a distance from its neighbours.
        true = None if is_true is None else is_true.nonzero()[0]
        found, records = (
            self._update(groups, ts, windows)
            if true is None
            else self._update([groups[row] for row in true.tolist()], ts[true], windows[true])
        )
        if len(found):
            found = found if true is None else true[found]
            still = flat.find_still(records, windows[found, -1])
            self._mark(detectors, found[still.any(axis=1)], Detector.FLAT, groups)
            self._mark(detectors, found[records["drifted"].any(axis=1)], Detector.DRIFT, groups)
        is_empty = not len(unusual) and not len(found)
        return Findings(is_empty, detectors, is_true, found, records)

    def _apply_limits(
        self, detectors: NDArray[np.uint8], unusual: IndexArray, groups: Sequence[str], windows: FloatArray
    ) -> _Mask | None:
        """Mark what is found in unusual windows; return which windows have no impossible value, None: all.

        Parameters
        ----------
        detectors : receives what is found (window,).
        unusual : the windows to look at (unusual,).
        groups, windows : as in `push`.
        """
        looked_at = windows[unusual]
        self._mark(detectors, unusual[self._limits.find_impossible(looked_at)], Detector.LIMITS, groups)
        is_true: _Mask = detectors == Detector.NONE
        at_end = self._limits.find_at_end(looked_at).any(axis=1)
        self._mark(detectors, unusual[at_end], Detector.FLAT, groups)
        return None if is_true.all() else is_true

    def _mark(
        self, detectors: NDArray[np.uint8], found: IndexArray, detector: Detector, groups: Sequence[str]
    ) -> None:
        """Set the detector of windows (found,) in which nothing was found before, where the check is on."""
        if self._rules.overrides or not self._rules.is_on(detector, ""):
            found = np.array(
                [row for row in found.tolist() if self._rules.is_on(detector, groups[row])], dtype=np.intp
            )
        detectors[found[detectors[found] == Detector.NONE]] = detector

    def _update(
        self, groups: Sequence[str], ts: FloatArray, windows: FloatArray
    ) -> tuple[IndexArray, NDArray[Any]]:
        """Update the groups with windows whose values can be true.

        Returns
        -------
        The windows of groups in which a sensor is flat or has drifted (open,), and the record of each of
        these groups after the window (open,).
        """
        table, slots = self._table, ts // SLOT_S
        rows = table.find_or_add(groups)
        if (table.quiet_slot[rows] == slots).all():  # no sample is due, and nothing is open
            return _NO_WINDOWS, table.records[:0]
        if len(set(groups)) < len(groups):
            return self._update_repeated(rows, slots, ts, windows)
        due = (table.slot[rows] != slots).nonzero()[0]
        if len(due):
            self._add_samples(rows[due], slots[due], ts[due], windows[due])
        found = np.isnan(table.quiet_slot[rows]).nonzero()[0]
        return found, table.records[rows[found]]

    def _update_repeated(
        self, unsorted_rows: IndexArray, slots: FloatArray, ts: FloatArray, windows: FloatArray
    ) -> tuple[IndexArray, NDArray[Any]]:
        """Do the same for any number of windows of each group, in order within each group."""
        order = unsorted_rows.argsort(kind="stable")
        rows, slots = unsorted_rows[order], slots[order]
        is_first = np.diff(rows, prepend=-1) != 0
        firsts = is_first.nonzero()[0]
        before = np.empty_like(slots)
        before[1:], before[firsts] = slots[:-1], self._table.slot[rows[firsts]]
        due = (before != slots).nonzero()[0]
        # What each group's record was before the batch, then after each of its samples: (state,).
        states: NDArray[Any] = np.empty(len(firsts) + len(due), self._table.records.dtype)
        states[: len(firsts)] = self._table.records[rows[firsts]]
        for part in _split_by_occurrence(rows[due]):
            chosen = due[part]
            original = order[chosen]
            states[len(firsts) + part] = self._add_samples(
                rows[chosen], slots[chosen], ts[original], windows[original]
            )
        if not np.isnan(states["quiet_slot"][states["slot"] >= 0]).any():
            return _NO_WINDOWS, states[:0]
        # The state that holds for each window: the newest at or before it.
        newest = np.zeros(len(rows), dtype=np.intp)
        newest[firsts] = np.arange(len(firsts))
        newest[due] = len(firsts) + np.arange(len(due))
        positions = np.where(is_first | (before != slots), np.arange(len(rows)), 0)
        records = states[newest[np.maximum.accumulate(positions)]]
        is_open = np.isnan(records["quiet_slot"])
        found = order[is_open]
        ascending = found.argsort()
        return found[ascending], records[is_open][ascending]

    def _add_samples(
        self, rows: IndexArray, slots: FloatArray, ts: FloatArray, windows: FloatArray
    ) -> NDArray[Any]:
        """Add a sample to each of distinct groups (group,); return their records.

        Parameters
        ----------
        rows : row of each group in the table (group,).
        slots : number of each sample's slot of time (group,).
        ts, windows : as in `push` (group, ...).
        """
        records: NDArray[Any] = self._table.records.take(rows)
        self._flat.update(records, slots, windows)
        self._drift.update(records, ts, windows)
        is_open = records["flat"].any(axis=1) | records["drifted"].any(axis=1)
        records["slot"], records["quiet_slot"] = slots, np.where(is_open, np.nan, slots)
        self._table.records.put(rows, records)
        return records

    def describe(self, findings: Findings, index: int, window: FloatArray) -> str:
        """Return in words what was found in a window of a batch.

        Parameters
        ----------
        findings : of the batch.
        index : of the window in the batch.
        window : its raw values (step, feature).
        """
        detector = findings.detectors[index]
        if detector == Detector.LIMITS:
            return self._limits.describe_impossible(window)
        if detector == Detector.DRIFT:
            return drift.describe(self._sensors, findings.record(index), self._representatives)
        if self._limits.find_at_end(window[None]).any():
            return self._limits.describe_at_end(window)
        return flat.describe(self._sensors, findings.record(index), window[-1])

    def groups(self) -> list[str]:
        """Return the names of all groups with state."""
        return self._table.names()

    def dump(self, group: str) -> bytes:
        """Return a group's state as bytes for `load`; an unknown group is dumped like a new group."""
        return self._table.dump(group)

    def load(self, group: str, value: bytes) -> None:
        """Set a group's state from bytes that `dump` returned, here or in another instance.

        An empty value, of a time before there were checks, removes the state.

        Raises
        ------
        ValueError : the value is damaged, of another version or of another shape.
        """
        if value:
            self._table.load(group, value)
        else:
            self.forget(group)

    def forget(self, group: str) -> None:
        """Remove a group's state."""
        self._table.forget(group)


def _split_by_occurrence(rows: IndexArray) -> list[IndexArray]:
    """Return the indices of sorted rows, first those of the first occurrence of each, and so on."""
    if not len(rows):
        return []
    firsts = np.flatnonzero(np.diff(rows, prepend=-1))
    occurrence = np.arange(len(rows)) - np.repeat(firsts, np.diff(firsts, append=len(rows)))
    by_occurrence = occurrence.argsort(kind="stable")
    return np.split(by_occurrence, np.cumsum(np.bincount(occurrence))[:-1])
