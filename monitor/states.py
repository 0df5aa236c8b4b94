"""What can be said of each group right now, and which groups went silent."""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain, islice

import msgspec

from monitor.chain import Verdicts
from monitor.records import GroupState, Outcome, Readings, State

__all__ = ["StateBoard"]

_VERSION = 1

_REFUSED = {Outcome.DUPLICATE, Outcome.LATE, Outcome.FUTURE}
_OF_OUTCOME = {Outcome.FILLING: State.FILLING, Outcome.GAP: State.FILLING, Outcome.WARMING: State.WARMING}


# Version, last event time, state, since when, score, whether out of range.
_Line = tuple[int, float, State, float, float | None, bool]


class _Group(msgspec.Struct, gc=False):
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
        self.stale_after = stale_after
        self._incident = incident
        self._groups: dict[str, _Group] = {}
        # Both in the order in which they were last heard, the silent ones before the others.
        self._silent: dict[str, None] = {}
        self._speaking: dict[str, None] = {}
        self.arrived: list[str] = []
        """Groups that came since whoever reads this emptied it."""
        self.counts = Counter[State]()
        """How many groups are in each state."""

    def __contains__(self, name: str) -> bool:
        """Say whether there is a line for a group."""
        return name in self._groups

    def __len__(self) -> int:
        """Return how many groups there are."""
        return len(self._groups)

    def names(self) -> Iterable[str]:
        """Return the names of all groups."""
        return self._groups.keys()

    def last_ts(self, name: str) -> float:
        """Return the event time of a group's last reading, seconds since the Unix epoch."""
        return self._groups[name].last_ts

    def look_again(self, names: Iterable[str]) -> list[GroupState]:
        """Return the lines of these groups, whose incident may have changed without a reading."""
        known = [name for name in names if name in self._groups]
        for name in known:
            self._groups[name].incident = self._incident(name)
        return self.lines(known)

    def expect(self, names: Iterable[str], now: float, ts: float) -> None:
        """Know of groups that haven't spoken: they are `filling`, and `silent` if they stay so.

        Parameters
        ----------
        names : the groups; those that are known already stay as they are.
        now : monotonic seconds.
        ts : seconds since the Unix epoch, in the place of an event time.
        """
        for name in names:
            if name not in self._groups:
                self._add(name, now, ts)

    def update(self, readings: Readings, verdicts: Verdicts, now: float) -> list[GroupState]:
        """Take in what a batch brought at `now` (monotonic seconds); return the lines that changed."""
        before: dict[str, tuple[State, bool, str | None] | None] = {}  # of groups that may have changed
        judged = verdicts.judged
        windows = zip(
            judged.faulty.tolist(), judged.scores.tolist(), judged.out_of_range.tolist(), strict=True
        )
        columns = zip(readings.groups, readings.ts.tolist(), verdicts.windows.outcomes, strict=True)
        groups = self._groups
        is_judged, is_faulty, is_normal = Outcome.JUDGED, State.FAULTY, State.NORMAL  # looked up once
        for name, ts, outcome in columns:
            if outcome in _REFUSED:
                continue
            group = groups.get(name)
            if group is None:
                before[name] = None
                group = self._add(name, now, ts)
            self._hear(name, group, now, ts)
            if outcome is is_judged:
                faulty, group.score, out_of_range = next(windows)
                state = is_faulty if faulty else is_normal
            else:
                state, out_of_range = _OF_OUTCOME.get(outcome, group.state), group.out_of_range
            # Most readings change nothing. An incident opens with a Faulty window.
            moved = state is not group.state or out_of_range is not group.out_of_range
            if moved or state is is_faulty or group.incident:
                before.setdefault(name, group.shown())
                self._move(group, state, ts)
                group.out_of_range = out_of_range
        for name in before:
            self._groups[name].incident = self._incident(name)
        return self.lines(name for name, was in before.items() if self._groups[name].shown() != was)

    def _add(self, name: str, now: float, ts: float) -> _Group:
        group = self._groups[name] = _Group(now, ts, State.FILLING, ts)
        self.arrived.append(name)
        self.counts[State.FILLING] += 1
        self._speaking[name] = None
        return group

    def _hear(self, name: str, group: _Group, now: float, ts: float) -> None:
        """Put a group behind all others in the order in which they were heard."""
        if group.state is State.SILENT:
            del self._silent[name]
        else:
            del self._speaking[name]
        self._speaking[name] = None
        group.heard, group.last_ts = now, ts

    def silence(self, now: float) -> list[GroupState]:
        """Turn groups silent that weren't heard for too long at `now` (monotonic seconds); return them."""
        silent = []
        for name in self._speaking:
            group = self._groups[name]
            if now - group.heard < self.stale_after:
                break  # all others were heard later
            silent.append(name)
            self._move(group, State.SILENT, group.last_ts)
        for name in silent:
            del self._speaking[name]
            self._silent[name] = None
        return self.lines(silent)

    def least_recent(self, count: int) -> list[str]:
        """Return the names of so many groups, those that were heard longest ago."""
        return list(islice(chain(self._silent, self._speaking), max(0, count)))

    def forget(self, name: str) -> None:
        """Drop a group's line."""
        group = self._groups.pop(name, None)
        if group is not None:
            self.counts[group.state] -= 1
            (self._silent if group.state is State.SILENT else self._speaking).pop(name)

    def dump(self, name: str) -> bytes | None:
        """Return a group's line as a value that `load` takes; None if there is none."""
        group = self._groups.get(name)
        if group is None:
            return None
        line = (_VERSION, group.last_ts, group.state, group.since, group.score, group.out_of_range)
        return msgspec.msgpack.encode(line)

    def load(self, name: str, value: bytes, now: float) -> None:
        """Put back what `dump` returned; a group that spoke counts as heard at `now` (monotonic seconds).

        Raises
        ------
        ValueError : the value is of another version or none at all.
        """
        try:
            version, last_ts, state, since, score, far = msgspec.msgpack.decode(value, type=_Line)
        except msgspec.DecodeError as error:
            raise ValueError(f"state of {name!r} can't be read: {error}") from error
        if version != _VERSION:
            raise ValueError(f"state of {name!r} is version {version}, expected {_VERSION}")
        self.forget(name)
        group = _Group(now, last_ts, state, since, score, far, self._incident(name))
        self._groups[name] = group
        self.arrived.append(name)
        self.counts[group.state] += 1
        (self._silent if group.state is State.SILENT else self._speaking)[name] = None

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
