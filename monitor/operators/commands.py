"""Where operators' requests are worked on, between two batches, and where their word holds alerts back."""

import logging
import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from monitor.core.times import format_iso
from monitor.core.verdicts import AlertEvent, GroupStatus
from monitor.groups.mutes import Mutes, matcher
from monitor.groups.operator_changes import OperatorChanges
from monitor.groups.state import GroupStates
from monitor.operators.false_alarms import FalseAlarmFile
from monitor.operators.requests import (
    Acknowledge,
    FalseAlarm,
    Request,
    RequestRejected,
    Silence,
    response_payload,
)
from monitor.telemetry.logs import RequestLog

__all__ = ["OperatorCommands", "Respond"]

_log = logging.getLogger(__name__)

# Requests that wait for their turn or their answer.
_MAX_PENDING = 50
# Incidents that an answer names; it tells how many there are.
_MAX_LISTED_INCIDENTS = 100

Respond = Callable[[bytes], None]
"""Sends an answer."""


class OperatorCommands:
    """Does what operators ask for. All but `ask` belongs to the pipeline thread.

    Parameters
    ----------
    groups : all that is known of each group.
    mutes : whose alerts are held back.
    false_alarms : takes their windows.
    wall : returns seconds since the Unix epoch.
    """

    def __init__(
        self,
        *,
        groups: GroupStates,
        mutes: Mutes,
        false_alarms: FalseAlarmFile,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._groups = groups
        self.mutes = mutes
        self.false_alarms = false_alarms
        self._wall = wall
        self._request_log = RequestLog()
        self._requests: queue.SimpleQueue[tuple[Request, Respond]] = queue.SimpleQueue()
        self._responses: list[tuple[Respond, bytes]] = []
        self.pending_groups: dict[str, None] | None = None
        """Groups whose change is to be permanent before it is answered; None where nobody waits."""

    def submit(self, request: Request, respond: Respond) -> bool:
        """Take a request, from any thread, that is answered once it is done; False where too many wait."""
        if self._requests.qsize() + len(self._responses) >= _MAX_PENDING:
            return False
        self._requests.put((request, respond))
        return True

    def process(
        self, events: Sequence[AlertEvent], statuses: Sequence[GroupStatus], now: float
    ) -> OperatorChanges:
        """Take a batch's events and do what was asked.

        Parameters
        ----------
        events : what the stages say.
        statuses : those that changed on the board.
        now : monotonic seconds.
        """
        groups = self._groups
        changes = OperatorChanges([])
        changes.mutes_changed = self.mutes.expire(self._wall())
        if changes.mutes_changed or groups.has_loaded_held_events:
            self._release_unmuted(changes)
        changes.events += groups.filter_events(events, self.mutes.is_muted) if events else []
        while not self._requests.empty():
            request, respond = self._requests.get()
            try:
                response = response_payload(request.transaction, result=self._execute(request, changes, now))
            except RequestRejected as rejection:
                response = response_payload(request.transaction, str(rejection))
                self._request_log.log_rejected(request.name, str(rejection))
            self._responses.append((respond, response))
        if self._responses:
            self.pending_groups = {**(self.pending_groups or {}), **dict.fromkeys(changes.changed_groups)}
        # By its line, for with `every_window` an incident ends without an event.
        ended = [status.group for status in statuses if status.incident is None]
        groups.retire_incidents([*ended, *changes.changed_groups])
        return changes

    def send_responses(self) -> None:
        """Send the answers: what they tell of is permanent."""
        for respond, response in self._responses:
            respond(response)
        self._responses.clear()
        self.pending_groups = None

    def _execute(self, request: Request, changes: OperatorChanges, now: float) -> dict[str, object]:
        """Do what is asked; return what the answer tells of it.

        Raises
        ------
        Refusal : it can't be done, and nothing changed.
        """
        match request:
            case Silence(group=pattern, minutes=minutes) if minutes:
                self._require_matcher(pattern, now)
                return self._mute(pattern, minutes, changes)
            case Silence(group=pattern):
                return self._unmute(pattern, changes)
            case Acknowledge():
                return self._acknowledge(request, changes, now)
            case FalseAlarm():
                return self._record_false_alarm(request, changes, now)
        raise RequestRejected("this request is not worked on here")

    def _mute(self, pattern: str, minutes: float, changes: OperatorChanges) -> dict[str, object]:
        until = self._wall() + 60 * minutes
        try:
            self.mutes.mute(pattern, until)
        except ValueError as error:
            raise RequestRejected(str(error)) from error
        changes.mutes_changed = True
        _log.info("alerts of %r are muted until %s", pattern, format_iso(until))
        return {"until": format_iso(until)}

    def _unmute(self, pattern: str, changes: OperatorChanges) -> dict[str, object]:
        if not self.mutes.unmute(pattern):
            raise RequestRejected(f"{pattern!r} isn't muted; expected a pattern as it was given")
        changes.mutes_changed = True
        self._release_unmuted(changes)
        _log.info("alerts of %r are no longer muted", pattern)
        return {}

    def _acknowledge(self, request: Acknowledge, changes: OperatorChanges, now: float) -> dict[str, object]:
        groups = self._groups
        if request.incident is not None:
            names = [self._group_from_incident(request.incident, now)]
            if groups.incident_id(names[0]) != request.incident:
                raise RequestRejected(f"incident {request.incident!r} is not open")
        else:
            matches = self._require_matcher(str(request.group), now)
            names = [name for name in groups.groups_with_incident() if matches(name)]
            if not names:
                raise RequestRejected(f"{request.group!r} has no open incident")
        acknowledged = []
        for name in names:
            acknowledged.append(groups.acknowledge(name))
        changes.changed_groups += names
        changes.groups_to_publish += names
        _log.info(
            "acknowledged %s open incidents: %s",
            len(acknowledged),
            ", ".join(map(repr, acknowledged[:_MAX_LISTED_INCIDENTS])),
        )
        return {"count": len(acknowledged), "incidents": acknowledged[:_MAX_LISTED_INCIDENTS]}

    def _record_false_alarm(
        self, request: FalseAlarm, changes: OperatorChanges, now: float
    ) -> dict[str, object]:
        groups = self._groups
        name = (
            self._group_from_incident(request.incident, now)
            if request.incident
            else self._require_group(request.group, now)
        )
        try:
            incident = groups.last_incident(name)
        except ValueError as error:
            _log.error("%s; the request is refused", error)
            raise RequestRejected(str(error)) from error
        if incident is None:
            raise RequestRejected(f"{name!r} had no incident")
        event = incident.event
        if request.incident not in {None, event.id}:
            raise RequestRejected(
                f"incident {request.incident!r} is not known any more; the latest is {event.id!r}"
            )
        try:
            self.false_alarms.append(event)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RequestRejected(f"alerts.false_alarms: {self.false_alarms.path}: {reason}") from error
        if groups.incident_id(name) == event.id:
            groups.reset_after_false_alarm(name)
            resolved_event = replace(
                event, status="resolved", ended_at=groups.last_ts(name), repeat=0,
                contributions=None, contributions_by_step=None, reason="",
            )  # fmt: skip
            changes.events += groups.filter_events([resolved_event], self.mutes.is_muted)
        changes.changed_groups.append(name)
        changes.groups_to_publish.append(name)
        _log.info("incident %r was a false alarm: its window is in %s", event.id, self.false_alarms.path)
        return {"incident": event.id}

    def _group_from_incident(self, incident: str, now: float) -> str:
        try:
            return self._require_group(incident.rpartition(":")[0], now)
        except RequestRejected:
            raise RequestRejected(f"there is no incident {incident!r}") from None

    def _require_group(self, name: str | None, now: float) -> str:
        """Return a group's name, if there is such a group."""
        group = name or ""
        self._groups.load_evicted([group], now)
        if group not in self._groups:
            hint = "; expected one group's name, and no pattern" if {"*", "?"} & set(group) else ""
            raise RequestRejected(f"there is no group {group!r}{hint}")
        return group

    def _require_matcher(self, pattern: str, now: float) -> Callable[[str], bool]:
        """Return what says whether a group fits, if some group does."""
        matches = matcher(pattern)
        self._groups.load_evicted([pattern], now)
        if not any(map(matches, self._groups.names())):
            raise RequestRejected(f"there is no group {pattern!r}, and none that fits it")
        return matches

    def _release_unmuted(self, changes: OperatorChanges) -> None:
        released = self._groups.release_events(self.mutes.is_muted)
        changes.events += released
        changes.changed_groups += [event.group for event in released]
