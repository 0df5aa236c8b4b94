"""What the page knows of each group: filled by the pipeline, made sense of by the HTTP thread."""

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
# Readings that wait to be looked at, once a second. Where more come, a picture of the last minutes may miss
# some.
_MAX_PENDING_READINGS = 20_000
# Events that wait to be looked at. An alert whose event is missed is shown without its window.
_MAX_PENDING_EVENTS = 2000
_MAX_ENDED_INCIDENTS = 5
MAX_REVISION_LAG = 60
"""Turns for which it is known which groups were dropped."""
_EVICTABLE_STATES = {State.NORMAL, State.FILLING, State.WARMING}


class LiveGroups:
    """Follows so many groups; where there are more, those that are worse off push out those that are well.

    `observe` and `forget` are called by the pipeline's thread and do no more than put things aside; all else
    belongs to the thread of the HTTP server.

    Parameters
    ----------
    features : values in a reading.
    point_interval_s : seconds of event time between two points of a group's history.
    is_acknowledged : says whether somebody takes care of an incident of a group.
    is_muted : says whether a group's alerts are held back.
    max_groups : groups that are followed.
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
        # The first of each kind and incident: where each window is an event, a thousand a second would be
        # kept for no more than this, and freeing them takes a millisecond at a time.
        self._pending_events: OrderedDict[tuple[str, str], AlertEvent] = OrderedDict()
        self._free_rows = list(range(max_groups))
        self._evictable_groups: dict[str, None] = {}
        self._rows: dict[str, int] = {}
        self.statuses: dict[str, GroupStatus] = {}
        """State of each group that is followed."""
        self.trends = Trends(max_groups, features, point_interval_s)
        """The last minutes of each group, by `window_index`."""
        self.alerts: dict[str, AlertEvent | None] = {}
        """First event of each open incident, by group, the newest last; None where an earlier process sent
        it."""
        self.ended_incidents: deque[AlertEvent] = deque(maxlen=_MAX_ENDED_INCIDENTS)
        """The incidents that ended last."""
        self.marks: dict[str, list[str]] = {}
        """What operators said of open incidents, by group."""
        self.revision = 0
        """How often `apply_pending` was called."""
        self.alerts_revision = 0
        """The turn in which `alerts`, `ended` or `marks` changed last."""
        self._row_revisions = np.zeros(max_groups, dtype=np.int64)
        self.removed_groups: dict[str, int] = {}
        """Groups that were dropped lately -> the turn."""

    def load_statuses(self, statuses: Sequence[GroupStatus]) -> None:
        """Take the lines of groups that were known before the first batch."""
        self._pending_statuses.update((line.group, line) for line in statuses)

    def observe(self, readings: Readings, scored: ScoredBatch, statuses: Sequence[GroupStatus]) -> None:
        """Take a batch, what came of it, and the lines that changed."""
        with self._lock:
            for line in statuses:
                self._pending_statuses[line.group] = line
            for event in scored.events:
                self._pending_events.setdefault((event.id, event.status), event)
            while len(self._pending_events) > _MAX_PENDING_EVENTS:
                self._pending_events.popitem(last=False)
            self._recent_readings.add(readings, scored)

    def forget(self, names: Sequence[str]) -> None:
        """Hear of groups that were set aside."""
        with self._lock:
            self._pending_statuses.update(dict.fromkeys(names))

    def row(self, name: str) -> int:
        """Return where a group's history is."""
        return self._rows[name]

    def changed_since(self, revision: int) -> list[str]:
        """Return the groups that changed after a turn."""
        row_revisions = self._row_revisions
        return [name for name, row in self._rows.items() if row_revisions[row] > revision]

    def apply_pending(self) -> None:
        """Take in what the pipeline put aside."""
        with self._lock:
            recent = self._recent_readings.take()
            statuses, self._pending_statuses = self._pending_statuses, {}
            events, self._pending_events = self._pending_events, OrderedDict()
        self.revision += 1
        self.removed_groups = {
            name: turn
            for name, turn in self.removed_groups.items()
            if turn > self.revision - MAX_REVISION_LAG
        }
        for name, line in statuses.items():
            if line is None:
                self._remove(name)
            else:
                self._update_status(line)
        for event in events.values():
            self._apply_event(event)
        self._update_marks()
        self._add_to_trends(*recent)

    def _update_status(self, status: GroupStatus) -> None:
        name, evictable = (
            status.group,
            status.state in _EVICTABLE_STATES and not status.out_of_range and status.incident is None,
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

    def _allocate_row(self, name: str, *, evictable: bool) -> bool:
        """Find room for a group; return whether there is any."""
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
        """Look what operators said of what is open: that changes without a reading."""
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
        """Add readings to the histories of the groups that are followed."""
        rows = np.fromiter(map(self._rows.get, names, repeat(-1)), np.intp, len(names))  # (reading,)
        known = rows >= 0
        rows = rows[known]
        self.trends.add(rows, ts[known], values[known], scores[known])
        self._row_revisions[rows] = self.revision
