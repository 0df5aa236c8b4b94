"""The held and the pending values of each group: the state of the alignment stage."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.state_table import StateTable
from monitor.core.times import MAX_TS, MIN_TS
from monitor.ingest.alignment.sampling_times import SamplingTimes

__all__ = ["NO_TS", "AlignmentTable"]

NO_TS = -np.inf
"""Event time of a missing value."""

_VERSION = 1


class AlignmentTable(StateTable):
    """State of each group, as a table with one view per field.

    The *pending* values are those after the last decided sampling time. They are in slots, one per sampling
    time: bucket b is in slot b modulo the number of slots, so slots that are occupied at the same time must
    be of a range of buckets that is no longer.

    Adding a group may replace the views, see `GroupTable`.

    Parameters
    ----------
    features : number of values in a reading.
    slots : number of slots for pending values.
    times : the sampling times.
    """

    def __init__(self, features: int, slots: int, times: SamplingTimes) -> None:
        fields = [
            ("is_silent", "?"),
            ("has_arrival_ts", "?"),
            ("is_stale", "?", (features,)),
            ("period", "<f8"),
            ("decided", "<f8"),
            ("held_ts", "<f8", (features,)),
            ("held_values", "<f8", (features,)),
            ("newest_ts", "<f8", (features,)),
        ]
        transient_fields = [
            ("slot_bucket", "<f8", (slots,)),
            ("slot_deadline", "<f8", (slots,)),
            ("slot_ts", "<f8", (slots, features)),
            ("slot_values", "<f8", (slots, features)),
        ]
        defaults: dict[str, Any] = {
            "period": times.period,
            "decided": NO_TS,
            "held_ts": NO_TS,
            "held_values": np.nan,
            "newest_ts": NO_TS,
            "slot_bucket": np.inf,
            "slot_deadline": np.inf,
        }
        self.slots = slots
        self.features = features
        self._times = times
        self.next_deadline = np.inf
        """Lower bound of `deadline` over all groups, monotonic seconds."""
        # Not in the records, so that the ticks, which look at all groups, read 8 bytes of each.
        self.first_pending: FloatArray = np.empty(0)
        """Bucket of the first occupied slot; inf if there is none: (row,)."""
        self.deadline: FloatArray = np.empty(0)
        """Monotonic time at which the clock decides the first pending sampling time: (row,)."""
        super().__init__("alignment", (_VERSION, features), fields, defaults, transient_fields)

    def _update_views(self) -> None:
        super()._update_views()
        records = self.records
        added_rows = np.full(len(records) - len(self.deadline), np.inf)
        self.first_pending = np.append(self.first_pending, added_rows)
        self.deadline = np.append(self.deadline, added_rows)
        self.is_silent: NDArray[np.bool_] = records["is_silent"]
        """Whether the group is silent, so that its next value is a fresh start: (row,)."""
        self.has_arrival_ts: NDArray[np.bool_] = records["has_arrival_ts"]
        """Whether event times of the group are times of arrival: (row,)."""
        self.is_stale: NDArray[np.bool_] = records["is_stale"]
        """Features whose held value was absent or too old at the last sampling time with news: (row,
        feature)."""
        self.decided: FloatArray = records["decided"]
        """Bucket up to which all sampling times are decided; -inf if none is: (row,)."""
        self.held_ts: FloatArray = records["held_ts"]
        """Event time of the newest value up to the last decided sampling time; `NO_TS` if none: (row,
        feature)."""
        self.held_values: FloatArray = records["held_values"]
        """That value; NaN if it is absent: (row, feature)."""
        self.newest_ts: FloatArray = records["newest_ts"]
        """Event time of the newest value, held or pending; `NO_TS` if none: (row, feature)."""
        self.slot_bucket: FloatArray = records["slot_bucket"]
        """Bucket of each slot; inf if it is free: (row, slot)."""
        self.slot_deadline: FloatArray = records["slot_deadline"]
        """Monotonic time at which the clock decides the slot; inf if it is free: (row, slot)."""
        self.slot_ts: FloatArray = records["slot_ts"]
        """Event times of the pending values; `NO_TS` if missing: (row, slot, feature)."""
        self.slot_values: FloatArray = records["slot_values"]
        """The pending values: (row, slot, feature)."""

    def rows(self) -> IndexArray:
        """Return the rows of all groups, in the order of `names`."""
        return np.fromiter(self._rows.values(), np.intp, len(self._rows))

    def update_first(self, rows: IndexArray) -> None:
        """Set `first_pending` and `deadline` of distinct rows from their slots."""
        self.first_pending[rows] = self.slot_bucket[rows].min(axis=1)
        self.deadline[rows] = self.slot_deadline[rows].min(axis=1)

    def clear(self, row: int) -> None:
        """Reset a group's record to the default."""
        super().clear(row)
        self.first_pending[row] = self.deadline[row] = np.inf

    def forget(self, name: str) -> None:
        """Remove the group and free its row; an unknown name is ignored."""
        row = self.row(name)
        super().forget(name)
        if row is not None:
            self.first_pending[row] = self.deadline[row] = np.inf

    def dump(self, name: str) -> bytes:
        """Return the group's state as bytes: the record's fixed part, then its occupied slots."""
        fixed_part = super().dump(name)
        row = self.row(name)
        if row is None or self.first_pending[row] == np.inf:
            return fixed_part
        slots = np.argsort(self.slot_bucket[row])[: np.count_nonzero(self.slot_bucket[row] < np.inf)]
        columns = [self.slot_bucket[row, slots, None], self.slot_ts[row, slots], self.slot_values[row, slots]]
        return fixed_part + np.hstack(columns).astype("<f8").tobytes()

    def load_pending(self, name: str, value: bytes, deadline: float) -> None:
        """Set the group's state from bytes that `dump` returned, here or in another instance.

        If the period or the number of slots is another one now, the pending values are held, as if their
        sampling times had been decided.

        Parameters
        ----------
        deadline : monotonic time at which the clock decides the pending sampling times.

        Raises
        ------
        ValueError : the value is damaged, of another version or of another shape.
        """
        self.load(name, value[: self._dump_size])
        row = int(self.find_or_add([name])[0])
        self.first_pending[row] = self.deadline[row] = np.inf
        width = 1 + 2 * self.features
        pending_size = len(value) - self._dump_size
        if pending_size % (8 * width):
            self.forget(name)
            raise ValueError(
                f"alignment state of {name!r} has {len(value)} bytes, "
                f"expected {self._dump_size} and a multiple of {8 * width}"
            )
        slots = np.frombuffer(value, "<f8", offset=self._dump_size).reshape(-1, width)
        buckets, (ts, values) = slots[:, 0], np.split(slots[:, 1:], 2, axis=1)
        if problem := self._find_problem(row, buckets, ts):
            self.forget(name)
            raise ValueError(f"alignment state of {name!r} has {problem}")
        record = self.records[row]
        if record["period"] != self._times.period or not self._fits(buckets, record["decided"]):
            self._hold(row, ts, values)
        elif len(buckets):
            indices = (buckets % self.slots).astype(np.intp)
            self.slot_bucket[row, indices] = buckets
            self.slot_deadline[row, indices] = deadline
            self.slot_ts[row, indices] = ts
            self.slot_values[row, indices] = values
            self.first_pending[row], self.deadline[row] = buckets[0], deadline
            self.next_deadline = min(self.next_deadline, deadline)

    def _find_problem(self, row: int, buckets: FloatArray, ts: FloatArray) -> str:
        """Return what no monitor can have stored in a record, and of pending values: "" if there is nothing.

        Parameters
        ----------
        buckets, ts : of the pending values: (slot,), (slot, feature).
        """
        period, decided, held_ts = self.records["period"][row], self.decided[row], self.held_ts[row]
        if not 0 < period <= MAX_TS:
            return f"a period of {period} s"
        with np.errstate(over="ignore", invalid="ignore"):
            bucket_ts = np.append(buckets, decided) * period
        times = np.concatenate([bucket_ts, held_ts, self.newest_ts[row], ts.ravel()])
        if not np.all((times == NO_TS) | ((times >= MIN_TS) & (times <= MAX_TS))):
            return "times that no reading has"
        if not np.all(buckets == np.floor(buckets)) or np.any(buckets == NO_TS):
            return "parts of sampling times"
        is_unknown = (held_ts == NO_TS) | (decided == NO_TS)
        return "stale values that it never had" if np.any(self.is_stale[row] & is_unknown) else ""

    def _fits(self, buckets: FloatArray, decided: float) -> bool:
        """Return whether buckets (slot,) are in order after the decided one and have a slot each."""
        steps = np.diff(buckets, prepend=buckets[:1] - 1)
        in_order = bool(np.all(steps > 0) and np.all(buckets > decided))
        return not len(buckets) or (in_order and bool(buckets[-1] - buckets[0] < self.slots))

    def _hold(self, row: int, ts: FloatArray, values: FloatArray) -> None:
        """Hold pending values (slot, feature), and decide all sampling times up to the newest of them."""
        decided_ts = self.decided[row] * self.records[row]["period"]
        for slot_ts, slot_values in zip(ts, values, strict=True):
            is_newer = slot_ts > self.held_ts[row]
            self.held_ts[row, is_newer] = slot_ts[is_newer]
            self.held_values[row, is_newer] = slot_values[is_newer]
        newest_ts = np.maximum(self.held_ts[row].max(), decided_ts)
        self.decided[row] = self._times.first_at_or_after(np.array([newest_ts]))[0]
        self.records["period"][row] = self._times.period
