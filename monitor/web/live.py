"""What the page knows of each group: filled by the pipeline, made sense of by the HTTP thread."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.chain import Verdicts
from monitor.records import AlertEvent, FloatArray, GroupState, Outcome, Readings, State
from monitor.web.trends import Trends

__all__ = ["REMEMBERED", "Live"]

_MOST_GROUPS = 2000
# Readings that wait to be looked at, once a second, 70 bytes each. Where more come, a picture of the last
# minutes may miss some.
_MOST_WAITING = 20_000
# Events that wait to be looked at. An alert whose event is missed is shown without its window.
_MOST_EVENTS = 2000
_MOST_ENDED = 5
REMEMBERED = 60
"""Turns for which it is known which groups were dropped."""
_REFUSED = {Outcome.DUPLICATE, Outcome.LATE, Outcome.FUTURE}
_QUIET = {State.NORMAL, State.FILLING, State.WARMING}


class _Batch(NamedTuple):
    """What is kept of a batch: keeping all of it would make the pipeline's memory cold."""

    groups: Sequence[str]
    """(reading,)"""
    ts: FloatArray
    """(reading,)"""
    values: FloatArray
    """(reading, feature)"""
    outcomes: Sequence[Outcome]
    """(reading,)"""
    rows: NDArray[np.intp]
    """The reading that completed each window: (window,)."""
    scores: FloatArray
    """(window,)"""


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
        self._batches: deque[_Batch] = deque()
        self._waiting = 0
        self._changed: dict[str, GroupState | None] = {}
        self._events: deque[AlertEvent] = deque(maxlen=_MOST_EVENTS)
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
        windows = verdicts.windows
        batch = _Batch(
            readings.groups,
            readings.ts,
            readings.values,
            windows.outcomes,
            windows.rows,
            verdicts.judged.scores,
        )
        with self._lock:
            for line in lines:
                self._changed[line.group] = line
            self._events.extend(verdicts.events)
            self._batches.append(batch)
            self._waiting += len(batch.groups)
            while self._waiting > _MOST_WAITING:
                self._waiting -= len(self._batches.popleft().groups)

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
            batches, self._batches = self._batches, deque()
            changed, self._changed = self._changed, {}
            events, self._events = self._events, deque(maxlen=_MOST_EVENTS)
            self._waiting = 0
        self.turn += 1
        self.gone = {name: turn for name, turn in self.gone.items() if turn > self.turn - REMEMBERED}
        for name, line in changed.items():
            if line is None:
                self._drop(name)
            else:
                self._follow(line)
        for event in events:
            self._hear(event)
        self._ask()
        self._look(batches)

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

    def _look(self, batches: Sequence[_Batch]) -> None:
        """Add readings to the histories, all at once: batches are many where readings come one by one."""
        if not batches:
            self.trends.jumped[:] = False
            return
        names = chain.from_iterable(batch.groups for batch in batches)
        count = sum(len(batch.groups) for batch in batches)
        rows = np.fromiter(map(self._rows.get, names, repeat(-1)), np.intp, count)  # (reading,)
        known = rows >= 0
        scores = np.full(count, np.nan)
        begin = 0
        for batch in batches:
            end = begin + len(batch.groups)
            scores[begin:end][batch.rows] = batch.scores
            if len(batch.rows) < end - begin:
                known[begin:end] &= [outcome not in _REFUSED for outcome in batch.outcomes]
            begin = end
        rows = rows[known]
        ts = np.concatenate([batch.ts for batch in batches])[known]
        values = np.concatenate([batch.values for batch in batches])[known]
        self.trends.add(rows, ts, values, scores[known])
        self._touched[rows] = self.turn
