"""The live page's data of each group: queued by the pipeline thread, applied by the HTTP thread."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from itertools import repeat

import numpy as np

from monitor.core.arrays import FloatArray
from monitor.core.readings import Readings
from monitor.core.verdicts import AlertEvent, GroupStatus, State
from monitor.detect.scoring import ScoredBatch
from monitor.web.recent_readings import RecentReadings
from monitor.web.trends import Trends

__all__ = ["MAX_REVISION_LAG", "LiveGroups"]

_MAX_GROUPS = 2000
# Readings queued until the HTTP thread applies them, once a second. If more arrive, the trends miss some.
_MAX_PENDING_READINGS = 20_000
# Alert events queued likewise. An alert whose event is missed is shown without its window.
_MAX_PENDING_EVENTS = 2000
_MAX_ENDED_INCIDENTS = 5
MAX_REVISION_LAG = 60
"""Revisions for which `removed_groups` keeps a group."""
_EVICTABLE_STATES = {State.NORMAL, State.FILLING, State.WARMING}


class LiveGroups:
    """Follows up to `max_groups` groups; beyond that, groups that are not healthy replace healthy ones.

    The pipeline thread calls `observe` and `forget`, which only queue what happened. Everything else is
    called by the thread of the HTTP server.

    Parameters
    ----------
    features : number of values in a reading.
    point_interval_s : seconds of event time between two points of a group's trend.
    is_acknowledged : takes an incident's id and its group; returns whether an operator acknowledged it.
    is_muted : takes a group; returns whether its alerts are muted.
    max_groups : groups to follow.
    """

    def __init__(
        self,
        features: int,
        point_interval_s: float,
        is_acknowledged: Callable[[str | None, str], bool] = lambda _, __: False,
        is_muted: Callable[[str], bool] = lambda _: False,
        max_groups: int = _MAX_GROUPS,
    ) -> None:
        self._is_acknowledged = is_acknowledged
        self._is_muted = is_muted
        self._lock = threading.Lock()
        self._recent_readings = RecentReadings(_MAX_PENDING_READINGS, features)
        self._pending_statuses: dict[str, GroupStatus | None] = {}
        # The first event of each incident and status. With `alerts.mode = "every_window"` all events would be
        # a thousand a second, of which only the first is needed, and freeing them takes a millisecond.
        self._pending_events: OrderedDict[tuple[str, str], AlertEvent] = OrderedDict()
        self._free_rows = list(range(max_groups))
        self._evictable_groups: dict[str, None] = {}
        self._rows: dict[str, int] = {}
        self.statuses: dict[str, GroupStatus] = {}
        """Status of each group that is followed, by name."""
        self.trends = Trends(max_groups, features, point_interval_s)
        """The last minutes of each group that is followed; see `row`."""
        self.alerts: dict[str, AlertEvent | None] = {}
        """First event of each open incident, by group, newest last; None if an earlier process sent it."""
        self.ended_incidents: deque[AlertEvent] = deque(maxlen=_MAX_ENDED_INCIDENTS)
        """`resolved` events of the incidents that ended last, the newest last."""
        self.marks: dict[str, list[str]] = {}
        """Operators' marks ("acknowledged", "muted") of open incidents, by group."""
        self.revision = 0
        """Number of calls of `apply_pending`."""
        self.alerts_revision = 0
        """Revision in which `alerts`, `ended_incidents` or `marks` changed last."""
        self._row_revisions = np.zeros(max_groups, dtype=np.int64)  # when each changed last: (row,)
        self.removed_groups: dict[str, int] = {}
        """Groups that are no longer followed -> revision of their removal."""

    def load_statuses(self, statuses: Sequence[GroupStatus]) -> None:
        """Set the statuses of the groups that were restored before the first batch."""
        self._pending_statuses.update((status.group, status) for status in statuses)

    def observe(self, readings: Readings, scored: ScoredBatch, statuses: Sequence[GroupStatus]) -> None:
        """Queue a batch of readings, its scores, and the statuses that it changed."""
        with self._lock:
            for status in statuses:
                self._pending_statuses[status.group] = status
            for event in scored.events:
                self._pending_events.setdefault((event.id, event.status), event)
            while len(self._pending_events) > _MAX_PENDING_EVENTS:
                self._pending_events.popitem(last=False)
            self._recent_readings.add(readings, scored)

    def forget(self, names: Sequence[str]) -> None:
        """Queue the removal of groups that the pipeline evicted or forgot."""
        with self._lock:
            self._pending_statuses.update(dict.fromkeys(names))

    def row(self, name: str) -> int:
        """Return a group's row in `trends`."""
        return self._rows[name]

    def changed_since(self, revision: int) -> list[str]:
        """Return the groups that changed after a revision."""
        row_revisions = self._row_revisions
        return [name for name, row in self._rows.items() if row_revisions[row] > revision]

    def apply_pending(self) -> None:
        """Apply everything that the pipeline thread queued since the last call."""
        with self._lock:
            recent = self._recent_readings.take()
            statuses, self._pending_statuses = self._pending_statuses, {}
            events, self._pending_events = self._pending_events, OrderedDict()
        self.revision += 1
        self.removed_groups = {
            name: revision
            for name, revision in self.removed_groups.items()
            if revision > self.revision - MAX_REVISION_LAG
        }
        for name, status in statuses.items():
            if status is None:
                self._remove(name)
            else:
                self._update_status(status)
        for event in events.values():
            self._apply_event(event)
        self._update_marks()
        self._add_to_trends(*recent)

    def _update_status(self, status: GroupStatus) -> None:
        name = status.group
        evictable = (
            status.state in _EVICTABLE_STATES
            and not status.out_of_range
            and not status.stale
            and status.incident is None
        )
        if name not in self._rows and not self._allocate_row(name, evictable=evictable):
            return
        previous = self.statuses.get(name)
        self.statuses[name] = status
        self._row_revisions[self._rows[name]] = self.revision
        if evictable:
            self._evictable_groups[name] = None
        else:
            self._evictable_groups.pop(name, None)
        if status.incident != (previous and previous.incident):
            self.alerts.pop(name, None)
            if status.incident is not None:
                self.alerts[name] = None
            self.alerts_revision = self.revision
        elif status.kind != (previous and previous.kind):
            self.alerts_revision = self.revision

    def _allocate_row(self, name: str, *, evictable: bool) -> bool:
        """Assign a row to a group, removing an evictable one if needed; return whether there was a row."""
        if not self._free_rows and self._evictable_groups and not evictable:
            self._remove(next(iter(self._evictable_groups)))
        if not self._free_rows:
            return False
        self._rows[name] = self._free_rows.pop()
        self.removed_groups.pop(name, None)
        return True

    def _remove(self, name: str) -> None:
        row = self._rows.pop(name, None)
        if row is None:
            return
        self._free_rows.append(row)
        self.trends.clear(row)
        self._evictable_groups.pop(name, None)
        if self.statuses.pop(name).incident is not None:
            del self.alerts[name]
            self.alerts_revision = self.revision
        self.removed_groups[name] = self.revision

    def _apply_event(self, event: AlertEvent) -> None:
        status = self.statuses.get(event.group)
        if event.status == "resolved":
            self.ended_incidents.append(event)
            self.alerts_revision = self.revision
        elif status is not None and status.incident == event.id and self.alerts[event.group] is None:
            self.alerts[event.group] = event
            self.alerts_revision = self.revision

    def _update_marks(self) -> None:
        """Read operators' marks of open incidents: they change without a reading."""
        marks: dict[str, list[str]] = {}
        for name in self.alerts:
            if self._is_acknowledged(self.statuses[name].incident, name):
                marks.setdefault(name, []).append("acknowledged")
            if self._is_muted(name):
                marks.setdefault(name, []).append("muted")
        if marks != self.marks:
            self.marks, self.alerts_revision = marks, self.revision

    def _add_to_trends(
        self, names: list[str], ts: FloatArray, values: FloatArray, scores: FloatArray
    ) -> None:
        """Add the readings of followed groups to their trends."""
        rows = np.fromiter(map(self._rows.get, names, repeat(-1)), np.intp, len(names))  # (reading,)
        followed = rows >= 0  # (reading,)
        rows = rows[followed]
        self.trends.add(rows, ts[followed], values[followed], scores[followed])
        self._row_revisions[rows] = self.revision
