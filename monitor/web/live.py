"""What the page knows of each group: filled by the pipeline, made sense of by the HTTP thread."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from itertools import repeat

import numpy as np

from monitor.core.arrays import FloatArray
from monitor.core.readings import Readings
from monitor.core.verdicts import AlertEvent, GroupState, State
from monitor.detect.scoring import Verdicts
from monitor.web.recent_readings import Recent
from monitor.web.trends import Trends

__all__ = ["REMEMBERED", "Live"]

_MOST_GROUPS = 2000
# Readings that wait to be looked at, once a second. Where more come, a picture of the last minutes may miss
# some.
_MOST_WAITING = 20_000
# Events that wait to be looked at. An alert whose event is missed is shown without its window.
_MOST_EVENTS = 2000
_MOST_ENDED = 5
REMEMBERED = 60
"""Turns for which it is known which groups were dropped."""
_QUIET = {State.NORMAL, State.FILLING, State.WARMING}


class Live:
    """Follows so many groups; where there are more, those that are worse off push out those that are well.

    `saw` and `forgot` are called by the pipeline's thread and do no more than put things aside; all else
    belongs to the thread of the HTTP server.

    Parameters
    ----------
    features : values in a reading.
    spacing : seconds of event time between two points of a group's history.
    acknowledged : says whether somebody takes care of an incident of a group.
    muted : says whether a group's alerts are held back.
    most : groups that are followed.
    """

    def __init__(
        self,
        features: int,
        spacing: float,
        acknowledged: Callable[[str | None, str], bool] = lambda _, __: False,
        muted: Callable[[str], bool] = lambda _: False,
        most: int = _MOST_GROUPS,
    ) -> None:
        self._acknowledged = acknowledged
        self._muted = muted
        self._lock = threading.Lock()
        self._recent = Recent(_MOST_WAITING, features)
        self._changed: dict[str, GroupState | None] = {}
        # The first of each kind and incident: where each window is an event, a thousand a second would be
        # kept for no more than this, and freeing them takes a millisecond at a time.
        self._events: OrderedDict[tuple[str, str], AlertEvent] = OrderedDict()
        self._free = list(range(most))
        self._quiet: dict[str, None] = {}
        self._rows: dict[str, int] = {}
        self.lines: dict[str, GroupState] = {}
        """State of each group that is followed."""
        self.trends = Trends(most, features, spacing)
        """The last minutes of each group, by `row`."""
        self.alerts: dict[str, AlertEvent | None] = {}
        """First event of each open incident, by group, the newest last; None where an earlier process sent
        it."""
        self.ended: deque[AlertEvent] = deque(maxlen=_MOST_ENDED)
        """The incidents that ended last."""
        self.marks: dict[str, list[str]] = {}
        """What operators said of open incidents, by group."""
        self.turn = 0
        """How often `digest` was called."""
        self.alerts_turn = 0
        """The turn in which `alerts`, `ended` or `marks` changed last."""
        self._touched = np.zeros(most, dtype=np.int64)
        self.gone: dict[str, int] = {}
        """Groups that were dropped lately -> the turn."""

    def know(self, lines: Sequence[GroupState]) -> None:
        """Take the lines of groups that were known before the first batch."""
        self._changed.update((line.group, line) for line in lines)

    def saw(self, readings: Readings, verdicts: Verdicts, lines: Sequence[GroupState]) -> None:
        """Take a batch, what came of it, and the lines that changed."""
        with self._lock:
            for line in lines:
                self._changed[line.group] = line
            for event in verdicts.events:
                self._events.setdefault((event.id, event.status), event)
            while len(self._events) > _MOST_EVENTS:
                self._events.popitem(last=False)
            self._recent.add(readings, verdicts)

    def forgot(self, names: Sequence[str]) -> None:
        """Hear of groups that were set aside."""
        with self._lock:
            self._changed.update(dict.fromkeys(names))

    def row(self, name: str) -> int:
        """Return where a group's history is."""
        return self._rows[name]

    def touched(self, since: int) -> list[str]:
        """Return the groups that changed after a turn."""
        touched = self._touched
        return [name for name, row in self._rows.items() if touched[row] > since]

    def digest(self) -> None:
        """Take in what the pipeline put aside."""
        with self._lock:
            recent = self._recent.take()
            changed, self._changed = self._changed, {}
            events, self._events = self._events, OrderedDict()
        self.turn += 1
        self.gone = {name: turn for name, turn in self.gone.items() if turn > self.turn - REMEMBERED}
        for name, line in changed.items():
            if line is None:
                self._drop(name)
            else:
                self._follow(line)
        for event in events.values():
            self._hear(event)
        self._ask()
        self._look(*recent)

    def _follow(self, line: GroupState) -> None:
        name, quiet = line.group, line.state in _QUIET and not line.out_of_range and line.incident is None
        if name not in self._rows and not self._admit(name, quiet=quiet):
            return
        before = self.lines.get(name)
        self.lines[name] = line
        self._touched[self._rows[name]] = self.turn
        if quiet:
            self._quiet[name] = None
        else:
            self._quiet.pop(name, None)
        if line.incident != (before and before.incident):
            self.alerts.pop(name, None)
            if line.incident is not None:
                self.alerts[name] = None
            self.alerts_turn = self.turn

    def _admit(self, name: str, *, quiet: bool) -> bool:
        """Find room for a group; return whether there is any."""
        if not self._free and self._quiet and not quiet:
            self._drop(next(iter(self._quiet)))
        if not self._free:
            return False
        self._rows[name] = self._free.pop()
        self.gone.pop(name, None)
        return True

    def _drop(self, name: str) -> None:
        row = self._rows.pop(name, None)
        if row is None:
            return
        self._free.append(row)
        self.trends.clear(row)
        self._quiet.pop(name, None)
        if self.lines.pop(name).incident is not None:
            del self.alerts[name]
            self.alerts_turn = self.turn
        self.gone[name] = self.turn

    def _hear(self, event: AlertEvent) -> None:
        line = self.lines.get(event.group)
        if event.status == "resolved":
            self.ended.append(event)
            self.alerts_turn = self.turn
        elif line is not None and line.incident == event.id and self.alerts[event.group] is None:
            self.alerts[event.group] = event
            self.alerts_turn = self.turn

    def _ask(self) -> None:
        """Look what operators said of what is open: that changes without a reading."""
        marks: dict[str, list[str]] = {}
        for name in self.alerts:
            if self._acknowledged(self.lines[name].incident, name):
                marks.setdefault(name, []).append("acknowledged")
            if self._muted(name):
                marks.setdefault(name, []).append("muted")
        if marks != self.marks:
            self.marks, self.alerts_turn = marks, self.turn

    def _look(self, names: list[str], ts: FloatArray, values: FloatArray, scores: FloatArray) -> None:
        """Add readings to the histories of the groups that are followed."""
        rows = np.fromiter(map(self._rows.get, names, repeat(-1)), np.intp, len(names))  # (reading,)
        known = rows >= 0
        rows = rows[known]
        self.trends.add(rows, ts[known], values[known], scores[known])
        self._touched[rows] = self.turn
