"""Judged windows -> alert events: a state machine driven by event time alone."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import msgspec

from monitor.core.rules import DEFAULT_ALERT_RULES, Rules
from monitor.core.verdicts import AlertEvent, Judgements

__all__ = ["AlertStage"]

# Of what is kept for a group. New fields go to the end of `_Group` with a default and leave it as it is: so
# what an earlier monitor wrote can be read, and the other way round.
_VERSION = 1


_EVERY_WINDOW = Rules(clear_after=1)


class _Group(msgspec.Struct, array_like=True, gc=False):
    """Where one group stands. A group that is quietly Normal has none of these."""

    faulty_run: int = 0
    normal_run: int = 0
    """Windows that count towards the end."""
    run_started: float = 0.0
    """Event time at which the present of these two runs began, seconds."""
    started_at: float | None = None
    """Event time at which the open incident began, seconds; None if there is none."""
    said_at: float | None = None
    """Event time of its last firing event, seconds."""
    repeat: int = 0
    """How often it was said again."""
    acknowledged: bool = False
    """Whether somebody knows of it, so that it need not be said again."""
    ended_at: float | None = None
    """Event time at which the last incident ended, seconds, where that still holds the next one off."""


_QUIET = msgspec.msgpack.encode((_VERSION, _Group()))


class AlertStage:
    """Turns judged windows into incidents.

    Parameters
    ----------
    rules : for all groups.
    special : pattern of group names and the rules in their place; the first pattern that fits decides. `*`
        stands for any characters, slashes too, `?` for one.
    every_window : each Faulty window is an event and nothing else is, whatever the rules; an incident begins
        with the first Faulty window and ends with the first Normal one.
    """

    def __init__(
        self,
        rules: Rules = DEFAULT_ALERT_RULES,
        special: Sequence[tuple[str, Rules]] = (),
        *,
        every_window: bool = False,
    ) -> None:
        self._every_window = every_window
        self._rules = _EVERY_WINDOW if every_window else rules
        self._special = () if every_window else tuple(special)
        self._groups: dict[str, _Group] = {}
        # Their rules, once they were looked for: matching patterns costs as much as all the rest.
        self._found: dict[str, Rules] = {}
        self.firing = 0
        """Incidents that are open."""

    def update(self, judged: Judgements) -> list[AlertEvent]:
        """Take judged windows in the order of their readings; return the events they cause."""
        groups, known = judged.groups, self._groups
        faulty = {groups[row] for row in judged.faulty.nonzero()[0].tolist()}
        if not faulty and not known:
            return []
        rows = [row for row, name in enumerate(groups) if name in faulty or name in known]
        # Lists, for an array is dear to look into one by one.
        ts, scores, verdicts = judged.ts[:, -1].tolist(), judged.scores.tolist(), judged.faulty.tolist()
        events = (self._take(judged, row, ts[row], scores[row], faulty=verdicts[row]) for row in rows)
        return [event for event in events if event]

    def _take(
        self, judged: Judgements, row: int, ts: float, score: float, *, faulty: bool
    ) -> AlertEvent | None:
        """Take one window; return the event it causes."""
        name = judged.groups[row]
        group = self._groups.get(name)
        if group is None:
            if not faulty:
                return None
            group = self._groups[name] = _Group()
        rules = self._find(name)
        if group.ended_at is not None and not _within(rules.min_interval, group.ended_at, ts):
            group.ended_at = None
        before = group.started_at
        status = self._faulty(group, rules, ts) if faulty else self._normal(group, rules, ts, score)
        if group.started_at is None and group.ended_at is None and not group.faulty_run:
            del self._groups[name], self._found[name]
        started_at = before if group.started_at is None else group.started_at
        if not status or started_at is None:
            return None
        return AlertEvent(
            id=_identify(name, started_at),
            status=status,
            group=name,
            score=score,
            started_at=started_at,
            ended_at=group.run_started if status == "resolved" else None,
            window_ts=judged.ts[row].tolist(),
            window_values=judged.values[row].tolist(),
            out_of_range=bool(judged.out_of_range[row]),
            repeat=group.repeat if status == "firing" else 0,
            row=row,
        )

    def _find(self, name: str) -> Rules:
        """Return the rules of a group that has state here."""
        rules = self._found.get(name)
        if rules is None:
            matching = (own for pattern, own in self._special if fnmatchcase(name, pattern))
            rules = self._found[name] = next(matching, self._rules)
        return rules

    def _faulty(self, group: _Group, rules: Rules, ts: float) -> str:
        """Advance a group by a Faulty window; return the status of the event that this is, or ""."""
        if group.faulty_run == 0:
            group.run_started = ts
        group.faulty_run += 1
        group.normal_run = 0
        if group.started_at is not None:
            return self._again(group, rules, ts)
        if group.faulty_run < rules.raise_after or group.ended_at is not None:
            return ""
        group.started_at, group.said_at = group.run_started, ts
        group.repeat, group.acknowledged = 0, False
        self.firing += 1
        return "firing"

    def _normal(self, group: _Group, rules: Rules, ts: float, score: float) -> str:
        """Advance a group by a Normal window; return the status of the event that this is, or ""."""
        group.faulty_run = 0
        if rules.clear_below is not None and score >= rules.clear_below:
            group.normal_run = 0
            return "" if group.started_at is None else self._again(group, rules, ts)
        if group.normal_run == 0:
            group.run_started = ts
        group.normal_run += 1
        if group.started_at is None or group.normal_run < rules.clear_after:
            return ""
        group.started_at = None
        if _within(rules.min_interval, group.run_started, ts):
            group.ended_at = group.run_started
        self.firing -= 1
        return "" if self._every_window else "resolved"

    def _again(self, group: _Group, rules: Rules, ts: float) -> str:
        """Say an incident again where it is time to."""
        if not self._every_window:
            if group.said_at is None:  # begun under a monitor that didn't keep it
                group.said_at = ts
            if group.acknowledged or not rules.renotify_after:
                return ""
            if _within(rules.renotify_after, group.said_at, ts):
                return ""
        group.said_at = ts
        group.repeat += 1
        return "firing"

    def acknowledge(self, group: str) -> str | None:
        """Stop saying a group's open incident again; return its id, None if there is none."""
        state = self._groups.get(group)
        if state is not None and state.started_at is not None:
            state.acknowledged = True
        return self.incident(group)

    def end(self, group: str, ts: float) -> None:
        """End a group's open incident at `ts` (event time, seconds) without an event, whatever it reads.

        The next one begins as after any other: a Faulty window counts anew, and `min_interval` from here.
        """
        if self.incident(group) is not None:
            rules = self._find(group)
            self.forget(group)
            if rules.min_interval:
                self._groups[group] = _Group(ended_at=ts)

    def incident(self, group: str) -> str | None:
        """Return the id of a group's open incident."""
        state = self._groups.get(group)
        return None if state is None or state.started_at is None else _identify(group, state.started_at)

    def groups(self) -> list[str]:
        """Return the names of the groups that have state here: those not quietly Normal."""
        return list(self._groups)

    def dump(self, group: str) -> bytes:
        """Return what is kept for a group as a value that `load` takes."""
        state = self._groups.get(group)
        return _QUIET if state is None else msgspec.msgpack.encode((_VERSION, state))

    def load(self, group: str, value: bytes) -> None:
        """Put back what `dump` returned, here or in another instance.

        Raises
        ------
        ValueError : the value is of another version or none at all.
        """
        try:
            version, state = msgspec.msgpack.decode(value, type=tuple[int, _Group])
        except msgspec.DecodeError as error:
            raise ValueError(f"alert state of {group!r} can't be read: {error}") from error
        if version != _VERSION:
            raise ValueError(f"alert state of {group!r} is version {version}, expected {_VERSION}")
        self.forget(group)
        if state != _Group():
            self._groups[group] = state
            self.firing += state.started_at is not None

    def forget(self, group: str) -> None:
        """Drop a group and its open incident."""
        self._found.pop(group, None)
        state = self._groups.pop(group, None)
        if state is not None and state.started_at is not None:
            self.firing -= 1


def _within(seconds: float, since: float, ts: float) -> bool:
    """Say whether less than so many seconds went by; not where the clock of a group was set back."""
    return 0 <= ts - since < seconds


def _identify(group: str, started_at: float) -> str:
    return f"{group}:{round(started_at * 1000)}"
