"""What can be said of each group right now, and which groups went silent."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from monitor.chain import Verdicts
from monitor.records import GroupState, Outcome, Readings, State

__all__ = ["StateBoard"]

_REFUSED = {Outcome.DUPLICATE, Outcome.LATE, Outcome.FUTURE}
_OF_OUTCOME = {Outcome.FILLING: State.FILLING, Outcome.GAP: State.FILLING, Outcome.WARMING: State.WARMING}


@dataclass(slots=True)
class _Group:
    heard: float
    """When a reading was last accepted, monotonic seconds."""
    last_ts: float
    """Its event time, seconds since the Unix epoch."""
    state: State
    since: float
    score: float | None = None
    out_of_range: bool = False
    incident: str | None = None

    def shown(self) -> tuple[State, bool, str | None]:
        """Return what `state/<group>` is published for when it changes."""
        return self.state, self.out_of_range, self.incident


class StateBoard:
    """Keeps one line for each group.

    Parameters
    ----------
    stale_after : seconds without an accepted reading until a group is silent.
    incident : tells the id of a group's open incident.
    """

    def __init__(self, stale_after: float, incident: Callable[[str], str | None]) -> None:
        self._stale_after = stale_after
        self._incident = incident
        self._groups: dict[str, _Group] = {}
        self._speaking: dict[str, None] = {}  # in the order in which they were last heard
        self.counts = Counter[State]()
        """How many groups are in each state."""

    def update(self, readings: Readings, verdicts: Verdicts, now: float) -> list[GroupState]:
        """Take in what a batch brought at `now` (monotonic seconds); return the lines that changed."""
        before: dict[str, tuple[State, bool, str | None] | None] = {}
        judged_at = {row: window for window, row in enumerate(verdicts.windows.rows.tolist())}
        times = readings.ts.tolist()
        for row, (name, outcome) in enumerate(zip(readings.groups, verdicts.windows.outcomes, strict=True)):
            if outcome in _REFUSED:
                continue
            group = self._groups.get(name)
            if name not in before:
                before[name] = group.shown() if group else None
            if group is None:
                group = self._groups[name] = _Group(now, times[row], State.FILLING, times[row])
                self.counts[State.FILLING] += 1
            group.heard, group.last_ts = now, times[row]
            self._speaking.pop(name, None)
            self._speaking[name] = None
            if outcome is Outcome.JUDGED:
                window = judged_at[row]
                faulty = bool(verdicts.judged.faulty[window])
                self._move(group, State.FAULTY if faulty else State.NORMAL, times[row])
                group.score = float(verdicts.judged.scores[window])
                group.out_of_range = bool(verdicts.judged.out_of_range[window])
            elif outcome in _OF_OUTCOME:
                self._move(group, _OF_OUTCOME[outcome], times[row])
        for name in before:
            self._groups[name].incident = self._incident(name)
        return self.lines(name for name, was in before.items() if self._groups[name].shown() != was)

    def silence(self, now: float) -> list[GroupState]:
        """Turn groups silent that weren't heard for too long at `now` (monotonic seconds); return them."""
        silent = []
        for name in self._speaking:
            group = self._groups[name]
            if now - group.heard < self._stale_after:
                break  # all others were heard later
            silent.append(name)
            self._move(group, State.SILENT, group.last_ts)
        for name in silent:
            del self._speaking[name]
        return self.lines(silent)

    def lines(self, names: Iterable[str] | None = None) -> list[GroupState]:
        """Return the lines of these groups, or of all."""
        lines = []
        for name in self._groups if names is None else names:
            group = self._groups[name]
            line = GroupState(name, group.state, group.since, group.score, group.out_of_range, group.incident)
            lines.append(line)
        return lines

    def _move(self, group: _Group, state: State, ts: float) -> None:
        if group.state is state:
            return
        self.counts[group.state] -= 1
        self.counts[state] += 1
        group.state, group.since = state, ts
