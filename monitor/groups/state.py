"""The complete state of all groups: stage states, statuses and incidents."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated

import msgspec
import numpy as np

from monitor.core.arrays import FloatArray
from monitor.core.readings import Readings
from monitor.core.values import Values
from monitor.core.verdicts import AlertEvent, GroupStatus, State
from monitor.detect.drift import DriftStage
from monitor.detect.scoring import ScoredBatch, Scoring, StageStates
from monitor.groups.incidents import Incident, Incidents, IsMuted
from monitor.groups.reading_history import ReadingHistory, ReadingsAround
from monitor.groups.sensitivity_watch import SensitivityWatch
from monitor.groups.status import StatusTable
from monitor.ingest.alignment import AlignedBatch, AlignmentStage

__all__ = ["GroupStates"]

_VERSION = 1

FetchStates = Callable[[list[str]], Mapping[str, bytes]]
"""Returns group -> stored state, for the given groups that are in the store."""


class _Envelope(msgspec.Struct, gc=False):
    """The stored state of one group. Each part has its own version; `version` is for the list of parts."""

    version: Annotated[int, msgspec.Meta(ge=_VERSION, le=_VERSION)]
    windows: bytes
    baseline: bytes
    alerts: bytes
    status: bytes
    incident: bytes
    alignment: bytes = b""
    """Empty if the group's messages are readings."""
    checks: bytes = b""
    """Empty in states of a time before there were checks."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Envelope).decode


class GroupStates:
    """Judges readings and keeps the state of each group: stage states, status and incident.

    Other objects access these parts only through this class. It reads no clock: the time is always an
    argument.

    Parameters
    ----------
    scoring : the stages.
    stale_after : seconds without an accepted reading or value after which a group is silent.
    alignment : makes readings of values; None if all messages are readings.
    """

    def __init__(self, scoring: Scoring, stale_after: float, alignment: AlignmentStage | None = None) -> None:
        self._scoring = scoring
        self._alignment = alignment
        self._incidents = Incidents()
        self._history = ReadingHistory()
        self._status = StatusTable(
            stale_after, self.incident_id, self.kind, self._find_stale_features, self._find_shows_from
        )
        self._sensitivity = SensitivityWatch(self._find_changed_sensitivity)
        self.fetch_states: FetchStates = lambda _: {}
        """Fetches the stored state of groups that were evicted from memory."""
        self.fetch_ended_incident: Callable[[str], bytes | None] = lambda _: None
        """Fetches the last closed incident of a group from the store; None if there is none.

        Raises ValueError if the incident can't be read.
        """
        self._load_errors: list[str] = []
        self.deleted_groups: dict[str, None] = {}
        """Groups that were removed for good, and that the store still has to delete."""
        self.has_evicted = False
        """Whether the store may hold groups that are not in memory."""

    def __contains__(self, group: str) -> bool:
        """Return whether a group is in memory."""
        return group in self._status

    def __len__(self) -> int:
        """Return the number of groups in memory."""
        return len(self._status)

    def names(self) -> Iterable[str]:
        """Return the names of all groups in memory."""
        return self._status.names()

    # Judging

    def align(self, values: Values | None, complete_until: float, now: float) -> AlignedBatch | None:
        """Align a batch of values into readings; None if all messages are readings.

        Parameters
        ----------
        complete_until : all values that arrived before were passed, monotonic seconds.
        now : monotonic seconds.
        """
        if self._alignment is None or values is None:
            return None
        self.load_evicted(values.groups, now)
        return self._alignment.push(values, complete_until)

    @property
    def aligns_values(self) -> bool:
        """Whether readings are made of values; otherwise all messages are readings."""
        return self._alignment is not None

    def judge(self, readings: Readings, now: float) -> ScoredBatch:
        """Run a batch through the stages; evicted groups of the batch are loaded first.

        Parameters
        ----------
        now : monotonic seconds.
        """
        self.load_evicted(readings.groups, now)
        scored = self._scoring.judge(readings)
        self._history.add(readings, scored)
        return scored

    def update_statuses(self, readings: Readings, scored: ScoredBatch, now: float) -> list[GroupStatus]:
        """Update the statuses after a batch judged at `now` (monotonic seconds); return changed statuses."""
        return self._status.update(readings, scored, now)

    def update_value_statuses(self, values: Values, aligned: AlignedBatch, now: float) -> list[GroupStatus]:
        """Update the statuses after a batch was aligned at `now` (monotonic seconds); return changed ones."""
        woken = self._status.record_values(values, aligned.outcomes, now)
        return self.refresh_statuses(dict.fromkeys([*woken, *aligned.changed_groups]))

    def learn_pending(self, scored: ScoredBatch) -> None:
        """Do the work on a judged batch that is not needed for alerts, see `Scoring.learn_pending`."""
        self._scoring.learn_pending(scored)

    def mark_silent(self, now: float) -> list[GroupStatus]:
        """Set the state of groups that are silent at `now` (monotonic seconds); return their statuses."""
        statuses = self._status.mark_silent(now)
        for status in statuses:
            self._scoring.mark_silent(status.group)
            if self._alignment is not None:
                self._alignment.mark_silent(status.group)
        return statuses

    def follow_clock(self, step: float) -> list[GroupStatus]:
        """Let all groups whose readings carry no event time begin afresh after the wall clock was set.

        Parameters
        ----------
        step : seconds by which the clock was set; negative: back.

        Returns
        -------
        Their statuses, whose times are moved by `step`.
        """
        if self._alignment is not None:
            self._alignment.restart_arrival_times()
        known = [group for group in self._scoring.follow_clock(step) if group in self._status]
        return self._status.shift_times(known, step)

    def replace_scoring(self, scoring: Scoring, stale_after: float | None = None) -> None:
        """Replace the stages by stages with other settings or another bundle, which take over all state.

        Parameters
        ----------
        stale_after : as in the constructor; None: unchanged.

        Raises
        ------
        ValueError : the shape of the windows differs.
        """
        scoring.take_over(self._scoring)
        self._scoring = scoring
        self._sensitivity.add(self._status.names())
        if stale_after is not None:
            self._status.stale_after = stale_after

    @property
    def drift(self) -> DriftStage:
        """The drift stage in use, which compares readings with the training data."""
        return self._scoring.drift

    # State as bytes

    def dump(self, group: str) -> bytes | None:
        """Return the state of a group as bytes for `load`; None if the group isn't in memory."""
        status = self._status.dump(group)
        if status is None:
            return None
        states = self._scoring.dump(group)
        incident = self._incidents.dump(group)
        alignment = b"" if self._alignment is None else self._alignment.dump(group)
        return _encode(
            _Envelope(
                _VERSION,
                states.windows,
                states.baseline,
                states.alerts,
                status,
                incident,
                alignment,
                states.checks,
            )
        )

    def load(self, group: str, value: bytes, now: float) -> None:
        """Set the state of a group from bytes that `dump` returned, in this or another process.

        Parameters
        ----------
        now : time at which the last reading counts as accepted, monotonic seconds: the value doesn't contain
            it, because monotonic clocks of two processes differ.

        Raises
        ------
        ValueError : the value is damaged, of another version or of another shape. The group is then not in
            memory.
        """
        try:
            parts = _decode(value)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"state of {group!r} can't be read: {error}") from error
        try:
            self._scoring.load(group, StageStates(parts.windows, parts.baseline, parts.alerts, parts.checks))
            self._incidents.load(group, parts.incident)
            if self._alignment is not None and parts.alignment:
                self._alignment.load(group, parts.alignment, now)
            self._status.load(group, parts.status, now)
        except ValueError:
            self.forget(group)  # a partly loaded state would be inconsistent
            raise

    def forget(self, group: str) -> None:
        """Remove a group from memory."""
        self._scoring.forget(group)
        self._incidents.forget(group)
        self._history.forget(group)
        self._status.forget(group)
        if self._alignment is not None:
            self._alignment.forget(group)

    def load_evicted(self, groups: Iterable[str], now: float) -> None:
        """Load the given groups from the store if they were evicted; `now` is in monotonic seconds."""
        if self.has_evicted:
            for group, value in self._fetch_evicted(groups).items():
                try:
                    self.load(group, value, now)
                except ValueError as error:  # the other groups must still be judged
                    self._load_errors.append(str(error))

    def find_new(self, names: set[str], now: float) -> set[str]:
        """Return which of the given groups neither memory nor the store knows; `now` in monotonic seconds."""
        self.load_evicted(names, now)
        return self._status.find_unknown(names)

    def _fetch_evicted(self, groups: Iterable[str]) -> Mapping[str, bytes]:
        """Return group -> stored state, for the given groups that are only in the store."""
        missing = [
            group
            for group in dict.fromkeys(groups)
            if group not in self._status and group not in self.deleted_groups
        ]
        return self.fetch_states(missing) if missing else {}

    def evicted_with_incident(self, groups: Iterable[str]) -> list[str]:
        """Return which of the given groups are only in the store, with an open or held-back incident."""
        return [group for group, value in self._fetch_evicted(groups).items() if _has_incident(value)]

    def take_load_errors(self) -> list[str]:
        """Return the errors of loading evicted groups since the last call; the groups start as new."""
        if not self._load_errors:
            return []
        load_errors, self._load_errors = self._load_errors, []
        return load_errors

    def groups_over_limit(self, limit: int) -> list[str]:
        """Return the groups with the oldest last readings, as many as there are above `limit`."""
        return self._status.least_recent(len(self._status) - limit)

    def evict(self, groups: Sequence[str]) -> None:
        """Remove groups from memory; their state remains in the store."""
        for group in groups:
            self.forget(group)
        self.has_evicted = self.has_evicted or bool(groups)

    def delete(self, groups: Iterable[str]) -> None:
        """Remove groups for good: from memory now, and from the store with its next transaction."""
        for group in groups:
            self.forget(group)
            self.deleted_groups[group] = None

    def mark_deleted(self, groups: Iterable[str]) -> None:
        """Record that the store has deleted these groups."""
        for group in groups:
            self.deleted_groups.pop(group, None)

    # Statuses

    def statuses(self, groups: Iterable[str] | None = None) -> list[GroupStatus]:
        """Return the statuses of the given groups; None: of all groups in memory."""
        return self._status.statuses(groups)

    def refresh_statuses(self, groups: Iterable[str]) -> list[GroupStatus]:
        """Update the statuses of groups whose incident may have changed without a reading; return them."""
        return self._status.refresh(groups)

    def register_expected(self, groups: Sequence[str], now: float, ts: float) -> None:
        """Add groups that are expected to send: `filling` at first, later `silent` if no reading arrives.

        Parameters
        ----------
        groups : names of the groups; a group in memory is unchanged, an evicted group is loaded.
        now : monotonic seconds.
        ts : start of the status of the added groups, seconds since the Unix epoch.
        """
        self.load_evicted(groups, now)
        self._status.register_expected(groups, now, ts)

    def take_changed_sensitivities(self, now: float) -> list[GroupStatus]:
        """Return the statuses of groups whose `shows_from` has changed much, those that are due now.

        Parameters
        ----------
        now : monotonic seconds.
        """
        return self.statuses(name for name in self._sensitivity.take_due(now) if name in self._status)

    def mark_published(self, group: str) -> None:
        """Record that the group's status was published."""
        self._scoring.mark_published(group)

    def shows_from_by_row(self) -> FloatArray:
        """Return the smallest offsets that would be called Faulty now: (row, feature), NaN if there are none.

        A row is that of a group, or of no group. Any thread may call this.
        """
        return self._scoring.shows_from_by_row()

    def take_new_groups(self) -> list[str]:
        """Return the groups that were added or loaded since the last call."""
        new_groups, self._status.new_groups = self._status.new_groups, []
        return new_groups

    def silent_last_seen(self, group: str) -> float | None:
        """Return when a silent group's last reading was accepted, monotonic seconds; None: not silent."""
        return self._status.silent_last_seen(group)

    def last_ts(self, group: str) -> float:
        """Return the event time of a group's last accepted reading, seconds since the Unix epoch."""
        return self._status.last_ts(group)

    @property
    def state_counts(self) -> Counter[State]:
        """Number of groups in each state."""
        return self._status.counts

    # Incidents

    @property
    def firing_count(self) -> int:
        """Number of open incidents."""
        return self._scoring.firing_count

    def incident_id(self, group: str) -> str | None:
        """Return the id of a group's open incident; None if there is none."""
        return self._scoring.incident_id(group)

    def kind(self, group: str) -> str | None:
        """Return the kind of fault of a group's open incident; None if it can't be told or none is open."""
        return self._scoring.kind(group)

    def groups_with_incident(self) -> list[str]:
        """Return the names of the groups with an open incident."""
        return self._scoring.groups_with_incident()

    def is_acknowledged(self, incident: str | None, group: str) -> bool:
        """Return whether the incident with this id is acknowledged; None is not. Any thread may call this."""
        return self._incidents.is_acknowledged(incident, group)

    def acknowledge(self, group: str) -> str | None:
        """Acknowledge a group's open incident; return the incident's id, None if there is none."""
        incident_id = self._scoring.acknowledge(group)
        incident = self._incidents.get(group)
        if incident is not None:
            incident.acknowledged = True
            self._incidents.put(incident)
        return incident_id

    def filter_events(self, events: Iterable[AlertEvent], is_muted: IsMuted) -> list[AlertEvent]:
        """Return the events to publish now; hold back the events of muted groups."""
        return self._incidents.filter_events(events, is_muted)

    @property
    def has_loaded_held_events(self) -> bool:
        """Whether a group was loaded that `groups_with_held_events` did not return, but would now."""
        return self._incidents.has_loaded_pending

    def groups_with_held_events(self) -> list[str]:
        """Return the groups whose events are held back."""
        return self._incidents.take_pending_groups()

    def release_events(self, groups: Iterable[str], is_muted: IsMuted) -> list[AlertEvent]:
        """Return the events that were held back for those of the groups that are no longer muted."""
        return self._incidents.release(groups, is_muted, self.incident_id)

    def take_muted_events(self) -> list[AlertEvent]:
        """Return the first events of the incidents that began in muted groups since the last call."""
        muted_events, self._incidents.muted_events = self._incidents.muted_events, []
        return muted_events

    def final_events(self, group: str, reason: str) -> list[AlertEvent]:
        """Return the events that end what was published of the incidents of a group in memory.

        Parameters
        ----------
        reason : why the open incident ends.
        """
        return self._incidents.final_events(
            group, self.incident_id(group), self.last_ts(group), self.kind(group), reason
        )

    def retire_incidents(self, groups: Iterable[str]) -> None:
        """Move the closed incidents of the given groups to `ended_incidents`; only the store keeps them."""
        self._incidents.retire(groups, self.incident_id)

    def ended_incidents(self, groups: Iterable[str]) -> list[tuple[str, bytes]]:
        """Return (group, last closed incident) for the given groups whose incident is not saved yet."""
        ended = self._incidents.ended
        return [(group, ended[group]) for group in groups if group in ended]

    def mark_saved(self, groups: Iterable[str]) -> None:
        """Record that the state of the given groups is saved, with their closed incidents."""
        for group in groups:
            self._incidents.ended.pop(group, None)

    def last_incident(self, group: str) -> Incident | None:
        """Return a copy of a group's latest incident, open or closed; None if the group had none.

        Raises
        ------
        ValueError : the incident can't be read.
        """
        incident = self._incidents.get(group)
        if incident is not None:
            return incident
        value = self._incidents.ended.get(group)
        if value is None and group not in self.deleted_groups:
            value = self.fetch_ended_incident(group)
        return None if value is None else self._incidents.decode(group, value)

    def readings_around(self, event: AlertEvent) -> ReadingsAround:
        """Return the readings around the beginning of an incident, as far as they are in memory.

        Parameters
        ----------
        event : the first event of the incident.
        """
        return self._history.around(event)

    def feature_ages(self, now: float) -> FloatArray:
        """Return the age of each feature's newest value: (row, feature), NaN if there is none.

        A row is that of a group, of no group, or of a silent group; the latter have none. Without rows
        if all messages are readings. Any thread may call this.

        Parameters
        ----------
        now : wall clock, seconds since the Unix epoch.
        """
        return np.empty((0, 0)) if self._alignment is None else self._alignment.feature_ages(now)

    @property
    def feature_max_ages(self) -> Sequence[float]:
        """Seconds that a value of each feature holds (feature,); () if all messages are readings."""
        return () if self._alignment is None else self._alignment.max_ages

    def _find_stale_features(self, group: str) -> Sequence[tuple[int, float]]:
        return () if self._alignment is None else tuple(self._alignment.stale_features(group).items())

    def _find_changed_sensitivity(self) -> list[str]:
        return self._scoring.find_changed_sensitivity()

    def _find_shows_from(self, group: str) -> Sequence[float] | None:
        return self._scoring.shows_from(group)

    def reset_after_false_alarm(self, group: str) -> None:
        """End a group's open incident without an event, and let the group's baseline be learnt again."""
        if self._scoring.reset_after_false_alarm(group, self._status.last_ts(group)):
            self._status.mark_warming(group)


def _has_incident(value: bytes) -> bool:
    try:
        return bool(_decode(value).incident)
    except (msgspec.DecodeError, RecursionError):
        return False
