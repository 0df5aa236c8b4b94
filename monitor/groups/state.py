"""All that is known of each group: the state of the stages and its line on the board, as one value."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from monitor.detect.scoring import Scoring
from monitor.groups.incidents import Incident, Incidents
from monitor.groups.status import StatusTable

__all__ = ["GroupStates"]

_encode = msgspec.msgpack.Encoder().encode

FetchStates = Callable[[list[str]], Mapping[str, bytes]]
"""Returns what is kept elsewhere of those of these groups that it knows."""


class GroupStates:
    """Joins what is kept of a group in several places.

    Parameters
    ----------
    scoring : the stages.
    stale_after : seconds without an accepted reading until a group is silent.
    """

    def __init__(self, scoring: Scoring, stale_after: float) -> None:
        self.scoring = scoring
        self.incidents = Incidents()
        self.status = StatusTable(stale_after, self._open_incident)
        self.fetch_states: FetchStates = lambda _: {}
        """Finds groups that were set aside."""
        self.fetch_ended_incident: Callable[[str], bytes | None] = lambda _: None
        """Finds the incident of a group that was the last one to end, where the store holds it.

        It raises ValueError where that can't be read.
        """
        self.load_errors: list[str] = []
        """Why groups that were set aside begin afresh, until whoever reads this empties it."""
        self.has_evicted = False
        """Whether there may be groups that were set aside."""

    def dump(self, group: str) -> bytes | None:
        """Return what is known of a group; None if nothing is."""
        status = self.status.dump(group)
        if status is None:
            return None
        scoring = self.scoring
        parts = (
            status,
            scoring.windows.dump(group),
            scoring.baseline.dump(group),
            scoring.alerts.dump(group),
            self.incidents.dump(group),
        )
        return _encode(parts)

    def load(self, group: str, value: bytes, now: float) -> None:
        """Put back what `dump` returned, as heard at `now` (monotonic seconds).

        Raises
        ------
        ValueError : the value is damaged, of another version or of another shape.
        """
        try:
            status, windows, baseline, alerts, incident = msgspec.msgpack.decode(
                value, type=tuple[bytes, bytes, bytes, bytes, bytes]
            )
        except msgspec.DecodeError as error:
            raise ValueError(f"state of {group!r} can't be read: {error}") from error
        try:
            self.scoring.windows.load(group, windows)
            self.scoring.baseline.load(group, baseline)
            self.scoring.alerts.load(group, alerts)
            self.incidents.load(group, incident)
            self.status.load(group, status, now)
        except ValueError:
            self._drop(group)  # half of it is worse than nothing
            raise

    def load_evicted(self, groups: Iterable[str], now: float) -> None:
        """Bring back those of these groups that were set aside, at `now` (monotonic seconds)."""
        if self.has_evicted:
            missing = [group for group in dict.fromkeys(groups) if group not in self.status]
            for group, value in self.fetch_states(missing).items() if missing else ():
                try:
                    self.load(group, value, now)
                except ValueError as error:  # one lost group is no reason to stop judging all others
                    self.load_errors.append(str(error))

    def last_incident(self, group: str) -> Incident | None:
        """Return a group's latest incident, as a copy, also where it is over; None if there was none.

        Raises
        ------
        ValueError : it can't be read.
        """
        incidents = self.incidents
        incident = incidents.get(group)
        if incident is not None:
            return incident
        value = incidents.ended.get(group) or self.fetch_ended_incident(group)
        return None if value is None else incidents.decode(group, value)

    def register_expected(self, groups: Sequence[str], now: float, ts: float) -> None:
        """Know of groups that must speak, as the board does; those that were set aside come back."""
        self.load_evicted(groups, now)
        self.status.register_expected(groups, now, ts)

    def groups_over_limit(self, limit: int) -> list[str]:
        """Return the least recently heard groups beyond so many."""
        return self.status.least_recent(len(self.status) - limit)

    def evict(self, names: Sequence[str]) -> None:
        """Drop groups, which may be brought back."""
        for group in names:
            self._drop(group)
        self.has_evicted = self.has_evicted or bool(names)

    def _drop(self, group: str) -> None:
        self.scoring.windows.forget(group)
        self.scoring.baseline.forget(group)
        self.scoring.alerts.forget(group)
        self.incidents.forget(group)
        self.status.forget(group)

    def reset_after_false_alarm(self, group: str) -> None:
        """Let the stages judge a group as one that never was Faulty: what brought up a false alarm goes."""
        self.scoring.alerts.end_incident(group, self.status.last_ts(group))
        if self.scoring.baseline.dump(group):  # empty where the bundle has none
            self.scoring.baseline.forget(group)  # what it does now is its normal
            self.status.mark_warming(group)

    def _open_incident(self, group: str) -> str | None:
        return self.scoring.alerts.incident_id(group)  # of the chain that is in use now

    def replace_scoring(self, scoring: Scoring) -> None:
        """Carry what is known over to stages that were built with other settings or another bundle.

        Raises
        ------
        ValueError : they are of another shape.
        """
        for group in self.scoring.windows.groups():
            scoring.windows.load(group, self.scoring.windows.dump(group))
        for group in self.scoring.baseline.groups():
            scoring.baseline.load(group, self.scoring.baseline.dump(group))
        for group in self.scoring.alerts.groups():
            scoring.alerts.load(group, self.scoring.alerts.dump(group))
        self.scoring.update_drift()
        scoring.drift.take_over_counts(self.scoring.drift)
        self.scoring = scoring
