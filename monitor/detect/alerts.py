"""Judged windows -> alert events: a state machine driven by event time alone."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import msgspec

from monitor.core.rules import DEFAULT_ALERT_RULES, AlertRules
from monitor.core.verdicts import AlertEvent, JudgedWindows

__all__ = ["AlertStage"]

# Of what is kept for a group. New fields go to the end of `_Group` with a default and leave it as it is: so
# what an earlier monitor wrote can be read, and the other way round.
_VERSION = 1


_EVERY_WINDOW_RULES = AlertRules(clear_after=1)


class _AlertState(msgspec.Struct, array_like=True, gc=False):
    """Where one group stands. A group that is quietly Normal has none of these."""

    faulty_run: int = 0
    normal_run: int = 0
    """Windows that count towards the end."""
    run_started_at: float = 0.0
    """Event time at which the present of these two runs began, seconds."""
    started_at: float | None = None
    """Event time at which the open incident began, seconds; None if there is none."""
    last_fired_at: float | None = None
    """Event time of its last firing event, seconds."""
    repeat: int = 0
    """How often it was said again."""
    acknowledged: bool = False
    """Whether somebody knows of it, so that it need not be said again."""
    ended_at: float | None = None
    """Event time at which the last incident ended, seconds, where that still holds the next one off."""


_EMPTY_STATE = msgspec.msgpack.encode((_VERSION, _AlertState()))


class AlertStage:
    """Turns judged windows into incidents.

    Parameters
    ----------
    rules : for all groups.
    overrides : pattern of group names and the rules in their place; the first pattern that fits decides. `*`
        stands for any characters, slashes too, `?` for one.
    every_window : each Faulty window is an event and nothing else is, whatever the rules; an incident begins
        with the first Faulty window and ends with the first Normal one.
    """

    def __init__(
        self,
        rules: AlertRules = DEFAULT_ALERT_RULES,
        overrides: Sequence[tuple[str, AlertRules]] = (),
        *,
        every_window: bool = False,
    ) -> None:
        self._every_window = every_window
        self._rules = _EVERY_WINDOW_RULES if every_window else rules
        self._overrides = () if every_window else tuple(overrides)
        self._states: dict[str, _AlertState] = {}
        # Their rules, once they were looked for: matching patterns costs as much as all the rest.
        self._rules_by_group: dict[str, AlertRules] = {}
        self.firing_count = 0
        """Incidents that are open."""

    def update(self, windows: JudgedWindows) -> list[AlertEvent]:
        """Take judged windows in the order of their readings; return the events they cause."""
        groups, states = windows.groups, self._states
        faulty = {groups[row] for row in windows.faulty.nonzero()[0].tolist()}
        if not faulty and not states:
            return []
        rows = [row for row, name in enumerate(groups) if name in faulty or name in states]
        # Lists, for an array is dear to look into one by one.
        ts, scores, faulty_flags = (
            windows.ts[:, -1].tolist(),
            windows.scores.tolist(),
            windows.faulty.tolist(),
        )
        events = (
            self._update_group(windows, row, ts[row], scores[row], faulty=faulty_flags[row]) for row in rows
        )
        return [event for event in events if event]

    def _update_group(
        self, windows: JudgedWindows, row: int, ts: float, score: float, *, faulty: bool
    ) -> AlertEvent | None:
        """Take one window; return the event it causes."""
        name = windows.groups[row]
        state = self._states.get(name)
        if state is None:
            if not faulty:
                return None
            state = self._states[name] = _AlertState()
        rules = self._find_rules(name)
        if state.ended_at is not None and not _is_within(rules.min_interval, state.ended_at, ts):
            state.ended_at = None
        previous_started_at = state.started_at
        status = (
            self._advance_faulty(state, rules, ts)
            if faulty
            else self._advance_normal(state, rules, ts, score)
        )
        if state.started_at is None and state.ended_at is None and not state.faulty_run:
            del self._states[name], self._rules_by_group[name]
        started_at = previous_started_at if state.started_at is None else state.started_at
        if not status or started_at is None:
            return None
        return AlertEvent(
            id=_format_incident_id(name, started_at),
            status=status,
            group=name,
            score=score,
            started_at=started_at,
            ended_at=state.run_started_at if status == "resolved" else None,
            window_ts=windows.ts[row].tolist(),
            window_values=windows.values[row].tolist(),
            out_of_range=bool(windows.out_of_range[row]),
            repeat=state.repeat if status == "firing" else 0,
            window_index=row,
        )

    def _find_rules(self, name: str) -> AlertRules:
        """Return the rules of a group that has state here."""
        rules = self._rules_by_group.get(name)
        if rules is None:
            matching = (override for pattern, override in self._overrides if fnmatchcase(name, pattern))
            rules = self._rules_by_group[name] = next(matching, self._rules)
        return rules

    def _advance_faulty(self, state: _AlertState, rules: AlertRules, ts: float) -> str:
        """Advance a group by a Faulty window; return the status of the event that this is, or ""."""
        if state.faulty_run == 0:
            state.run_started_at = ts
        state.faulty_run += 1
        state.normal_run = 0
        if state.started_at is not None:
            return self._renotify(state, rules, ts)
        if state.faulty_run < rules.raise_after or state.ended_at is not None:
            return ""
        state.started_at, state.last_fired_at = state.run_started_at, ts
        state.repeat, state.acknowledged = 0, False
        self.firing_count += 1
        return "firing"

    def _advance_normal(self, state: _AlertState, rules: AlertRules, ts: float, score: float) -> str:
        """Advance a group by a Normal window; return the status of the event that this is, or ""."""
        state.faulty_run = 0
        if rules.clear_below is not None and score >= rules.clear_below:
            state.normal_run = 0
            return "" if state.started_at is None else self._renotify(state, rules, ts)
        if state.normal_run == 0:
            state.run_started_at = ts
        state.normal_run += 1
        if state.started_at is None or state.normal_run < rules.clear_after:
            return ""
        state.started_at = None
        if _is_within(rules.min_interval, state.run_started_at, ts):
            state.ended_at = state.run_started_at
        self.firing_count -= 1
        return "" if self._every_window else "resolved"

    def _renotify(self, state: _AlertState, rules: AlertRules, ts: float) -> str:
        """Say an incident again where it is time to."""
        if not self._every_window:
            if state.last_fired_at is None:  # begun under a monitor that didn't keep it
                state.last_fired_at = ts
            if state.acknowledged or not rules.renotify_after:
                return ""
            if _is_within(rules.renotify_after, state.last_fired_at, ts):
                return ""
        state.last_fired_at = ts
        state.repeat += 1
        return "firing"

    def acknowledge(self, group: str) -> str | None:
        """Stop saying a group's open incident again; return its id, None if there is none."""
        state = self._states.get(group)
        if state is not None and state.started_at is not None:
            state.acknowledged = True
        return self.incident_id(group)

    def end_incident(self, group: str, ts: float) -> None:
        """End a group's open incident at `ts` (event time, seconds) without an event, whatever it reads.

        The next one begins as after any other: a Faulty window counts anew, and `min_interval` from here.
        """
        if self.incident_id(group) is not None:
            rules = self._find_rules(group)
            self.forget(group)
            if rules.min_interval:
                self._states[group] = _AlertState(ended_at=ts)

    def incident_id(self, group: str) -> str | None:
        """Return the id of a group's open incident."""
        state = self._states.get(group)
        return (
            None
            if state is None or state.started_at is None
            else _format_incident_id(group, state.started_at)
        )

    def groups(self) -> list[str]:
        """Return the names of the groups that have state here: those not quietly Normal."""
        return list(self._states)

    def dump(self, group: str) -> bytes:
        """Return what is kept for a group as a value that `load` takes."""
        state = self._states.get(group)
        return _EMPTY_STATE if state is None else msgspec.msgpack.encode((_VERSION, state))

    def load(self, group: str, value: bytes) -> None:
        """Put back what `dump` returned, here or in another instance.

        Raises
        ------
        ValueError : the value is of another version or none at all.
        """
        try:
            version, state = msgspec.msgpack.decode(value, type=tuple[int, _AlertState])
        except msgspec.DecodeError as error:
            raise ValueError(f"alert state of {group!r} can't be read: {error}") from error
        if version != _VERSION:
            raise ValueError(f"alert state of {group!r} is version {version}, expected {_VERSION}")
        self.forget(group)
        if state != _AlertState():
            self._states[group] = state
            self.firing_count += state.started_at is not None

    def forget(self, group: str) -> None:
        """Drop a group and its open incident."""
        self._rules_by_group.pop(group, None)
        state = self._states.pop(group, None)
        if state is not None and state.started_at is not None:
            self.firing_count -= 1


def _is_within(seconds: float, since: float, ts: float) -> bool:
    """Say whether less than so many seconds went by; not where the clock of a group was set back."""
    return 0 <= ts - since < seconds


def _format_incident_id(group: str, started_at: float) -> str:
    return f"{group}:{round(started_at * 1000)}"
