"""Judged windows -> alert events: a state machine per group, driven by event time only."""

import math
from collections.abc import Callable, Sequence

import msgspec

from monitor.core.patterns import matches_setting
from monitor.core.rules import DEFAULT_ALERT_RULES, AlertRules
from monitor.core.verdicts import AlertEvent, Detector, JudgedWindows
from monitor.detect.alert_state import AlertState, choose_kind
from monitor.detect.fault_kind import SensorError

__all__ = ["AlertStage", "FindErrors"]

FindErrors = Callable[[list[int]], Sequence[Sequence[Sequence[SensorError]]]]
"""Returns the sensors with an error in the windows with the given indices: (window, step)."""

# Version of a group's dumped state. New fields of `AlertState` must be appended, with a default, and this
# version kept: then older monitors can read the state written by newer monitors, and vice versa.
_VERSION = 1

_EVERY_WINDOW_RULES = AlertRules(clear_after=1)


_EMPTY_STATE = msgspec.msgpack.encode((_VERSION, AlertState()))


class AlertStage:
    """Turns judged windows into incidents, and incidents into alert events.

    Parameters
    ----------
    rules : the rules of groups that match no override.
    overrides : pairs of a pattern of group names and the rules of matching groups; the first pattern that
        matches decides. `*` stands for any characters, including slashes, `?` for one character.
    every_window : ignore the rules and return a firing event for each Faulty window, and no other events. An
        incident begins with the first Faulty window and ends with the first Normal window.
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
        self._states: dict[str, AlertState] = {}
        # Cache for the groups in `_states`: matching patterns costs as much as the rest of an update.
        self._rules_by_group: dict[str, AlertRules] = {}
        self.firing_count = 0
        """Number of open incidents."""

    def update(self, windows: JudgedWindows) -> list[AlertEvent]:
        """Process judged windows as `update_with_kinds`, without their errors: no event has a kind."""
        return self.update_with_kinds(windows, lambda rows: [[] for _ in rows])[0]

    def update_with_kinds(
        self, windows: JudgedWindows, find_errors: FindErrors
    ) -> tuple[list[AlertEvent], dict[int, str]]:
        """Process judged windows, in the order of their readings.

        Parameters
        ----------
        find_errors : called once, with the windows of groups that are Faulty or have alert state. An empty
            sequence in its result: nothing is known of the errors in this window.

        Returns
        -------
        events : the events that the windows cause.
        kinds : index of a Faulty window of an open incident -> kind of its fault, where it can be told.
        """
        groups, states = windows.groups, self._states
        faulty = {groups[row] for row in windows.faulty.nonzero()[0].tolist()}
        if not faulty and not states:
            return [], {}
        rows = [row for row, name in enumerate(groups) if name in faulty or name in states]
        if not rows:
            return [], {}
        # Lists, because reading single elements of an array is slow.
        ts, scores = windows.ts[:, -1].tolist(), windows.scores.tolist()
        faulty_flags = windows.faulty.tolist()
        events, kinds = [], {}
        for row, errors in zip(rows, find_errors(rows), strict=True):
            event = self._update_group(windows, row, ts[row], scores[row], errors, faulty=faulty_flags[row])
            if event:
                events.append(event)
            if faulty_flags[row] and (kind := self.kind(groups[row])):
                kinds[row] = kind
        return events, kinds

    def _update_group(
        self,
        windows: JudgedWindows,
        row: int,
        ts: float,
        score: float,
        errors: Sequence[Sequence[SensorError]],
        *,
        faulty: bool,
    ) -> AlertEvent | None:
        """Process the window in `row`, and return the event that it causes."""
        name = windows.groups[row]
        state = self._states.get(name)
        if state is None:
            if not faulty:
                return None
            state = self._states[name] = AlertState()
        rules = self._find_rules(name)
        if state.ended_at is not None and not _is_within(rules.min_interval, state.ended_at, ts):
            state.ended_at = None
        state.run_started_at = min(state.run_started_at, ts)  # its group's clock may have been set back
        previous_started_at = state.started_at
        state.add_evidence(windows.ts[row], errors, faulty=faulty)
        evidence = state.evidence
        status = (
            self._advance_faulty(state, rules, ts)
            if faulty
            else self._advance_normal(state, rules, ts, score)
        )
        if state.started_at is None and not state.faulty_run:
            state.evidence = None
            if state.ended_at is None:
                del self._states[name], self._rules_by_group[name]
        started_at = previous_started_at if state.started_at is None else state.started_at
        if state.started_at is not None:
            state.set_detector(int(windows.detectors[row]), is_new=previous_started_at is None)
        if not status or started_at is None:
            return None
        return AlertEvent(
            id=_format_incident_id(name, started_at),
            status=status,
            group=name,
            score=None if math.isnan(score) else score,
            started_at=started_at,
            ended_at=state.run_started_at if status == "resolved" else None,
            window_ts=windows.ts[row].tolist(),
            window_values=windows.values[row].tolist(),
            out_of_range=bool(windows.out_of_range[row]),
            repeat=state.repeat if status == "firing" else 0,
            detector=Detector(state.detector).label,
            kind=choose_kind(state.detector, evidence),
            window_index=row,
        )

    def _find_rules(self, name: str) -> AlertRules:
        """Return the rules of a group in `_states`."""
        rules = self._rules_by_group.get(name)
        if rules is None:
            matching = (rule for pattern, rule in self._overrides if matches_setting(name, pattern))
            rules = self._rules_by_group[name] = next(matching, self._rules)
        return rules

    def _advance_faulty(self, state: AlertState, rules: AlertRules, ts: float) -> str:
        """Advance a group by a Faulty window; return the status of the event that it causes, or ""."""
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

    def _advance_normal(self, state: AlertState, rules: AlertRules, ts: float, score: float) -> str:
        """Advance a group by a Normal window; return the status of the event that it causes, or ""."""
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

    def _renotify(self, state: AlertState, rules: AlertRules, ts: float) -> str:
        """Return "firing" if the open incident's firing event is due to be repeated, else ""."""
        if not self._every_window:
            if state.last_fired_at is None:  # dumped by a version that did not have this field
                state.last_fired_at = ts
            if state.acknowledged or not rules.renotify_after:
                return ""
            if _is_within(rules.renotify_after, state.last_fired_at, ts):
                return ""
        state.last_fired_at = ts
        state.repeat += 1
        return "firing"

    def acknowledge(self, group: str) -> str | None:
        """Stop the reminders of a group's open incident; return the incident's id, None if there is none."""
        state = self._states.get(group)
        if state is not None and state.started_at is not None:
            state.acknowledged = True
        return self.incident_id(group)

    def end_incident(self, group: str, ts: float) -> None:
        """End a group's open incident without an event, even if its windows are Faulty.

        Afterwards Faulty windows are counted from 0, and `min_interval` begins at `ts`.

        Parameters
        ----------
        ts : event time of the end, seconds since the Unix epoch.
        """
        if self.incident_id(group) is not None:
            rules = self._find_rules(group)
            self.forget(group)
            if rules.min_interval:
                self._states[group] = AlertState(ended_at=ts)

    def shift_times(self, group: str, seconds: float) -> None:
        """Move the times that later windows are compared with, or that later events report.

        An open incident keeps the time at which it began: that is part of its id.
        """
        state = self._states.get(group)
        if state is None:
            return
        state.run_started_at += seconds
        if state.last_fired_at is not None:
            state.last_fired_at += seconds
        if state.ended_at is not None:
            state.ended_at += seconds

    def incident_id(self, group: str) -> str | None:
        """Return the id of a group's open incident; None if there is none."""
        state = self._states.get(group)
        if state is None or state.started_at is None:
            return None
        return _format_incident_id(group, state.started_at)

    def kind(self, group: str) -> str | None:
        """Return the kind of fault of a group's open incident; None if it can't be told or none is open."""
        state = self._states.get(group)
        if state is None or state.started_at is None:
            return None
        return choose_kind(state.detector, state.evidence)

    def groups(self) -> list[str]:
        """Return the names of the groups that have alert state, see `AlertState`."""
        return list(self._states)

    def dump(self, group: str) -> bytes:
        """Return a group's alert state as bytes for `load`."""
        state = self._states.get(group)
        return _EMPTY_STATE if state is None else msgspec.msgpack.encode((_VERSION, state))

    def load(self, group: str, value: bytes) -> None:
        """Set a group's alert state from bytes that `dump` returned, here or in another instance.

        Raises
        ------
        ValueError : the value is damaged or of another version.
        """
        try:
            version, state = msgspec.msgpack.decode(value, type=tuple[int, AlertState])
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"alert state of {group!r} can't be read: {error}") from error
        if version != _VERSION:
            raise ValueError(f"alert state of {group!r} is version {version}, expected {_VERSION}")
        if problem := state.find_problem():
            raise ValueError(f"alert state of {group!r} {problem}")
        self.forget(group)
        if state != AlertState():
            self._states[group] = state
            self.firing_count += state.started_at is not None

    def forget(self, group: str) -> None:
        """Remove a group's alert state, including an open incident, without an event."""
        self._rules_by_group.pop(group, None)
        state = self._states.pop(group, None)
        if state is not None and state.started_at is not None:
            self.firing_count -= 1


def _is_within(seconds: float, since: float, ts: float) -> bool:
    """Return whether less than `seconds` passed from `since` to `ts`; False if the clock was set back."""
    return 0 <= ts - since < seconds


def _format_incident_id(group: str, started_at: float) -> str:
    return f"{group}:{round(started_at * 1000)}"
