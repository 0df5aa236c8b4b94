"""Executes the requests of operators between two batches, and holds back the alerts of muted groups."""

import logging
import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from monitor.core.times import format_iso
from monitor.core.verdicts import AlertEvent, GroupStatus
from monitor.groups.incidents import end_early
from monitor.groups.mutes import Mutes
from monitor.groups.operator_changes import OperatorChanges
from monitor.groups.state import GroupStates
from monitor.operators.false_alarms import FalseAlarmFile, append_in_background
from monitor.operators.group_lookup import group_from_incident, require_group, require_matcher
from monitor.operators.group_remover import GroupRemover
from monitor.operators.requests import (
    Acknowledge,
    FalseAlarm,
    Forget,
    Request,
    RequestRejected,
    Silence,
    response_payload,
)
from monitor.telemetry.logs import RequestLog

__all__ = ["OperatorCommands", "Respond"]

_log = logging.getLogger(__name__)

# Maximum number of requests that are not executed or not answered yet.
_MAX_PENDING = 50
# Maximum number of incidents listed in a response, which also has their total number.
_MAX_LISTED_INCIDENTS = 100

Respond = Callable[[bytes], None]
"""Sends the response to a request."""


@dataclass(frozen=True, slots=True)
class _Write:
    """A false alarm whose readings are being written."""

    request: FalseAlarm
    respond: Respond
    group: str
    event: AlertEvent
    """The first event of the incident."""
    reading_count: int
    file: FalseAlarmFile
    result: "Future[bool]"

    @property
    def is_done(self) -> bool:
        """Whether the write has ended, successfully or not."""
        return self.result.done()


class OperatorCommands:
    """Executes requests in the order of arrival. Only `submit` is called on other threads.

    While the readings around a false alarm are written to its file, on a separate thread, the following
    requests wait: their results depend on it, and responses are sent in the order of the requests. Batches
    don't wait.

    Parameters
    ----------
    groups : the state of the groups.
    mutes : the mutes, which requests change.
    false_alarms : the file to which the readings around false alarms are written.
    remover : removes groups for good; None: one that knows only the groups in memory.
    wake : called on another thread when a write has ended, so that `process` can continue.
    wall : returns seconds since the Unix epoch.
    """

    def __init__(
        self,
        *,
        groups: GroupStates,
        mutes: Mutes,
        false_alarms: FalseAlarmFile,
        remover: GroupRemover | None = None,
        wake: Callable[[], None] = lambda: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._groups = groups
        self.mutes = mutes
        """The mutes: patterns of groups whose alerts are held back."""
        self.false_alarms = false_alarms
        """The file to which the readings around later false alarms are written."""
        self._remover = remover or GroupRemover(groups=groups, mutes=mutes)
        self._wake = wake
        self._wall = wall
        self._request_log = RequestLog()
        self._requests: queue.SimpleQueue[tuple[Request, Respond]] = queue.SimpleQueue()
        self._mute_ends_changed = False  # since the last call of `process`
        self._write: _Write | None = None
        self._responses: list[tuple[Respond, bytes]] = []
        self.pending_groups: dict[str, None] | None = None
        """Groups that must be stored before the responses are sent; None if no response waits."""

    @property
    def is_writing(self) -> bool:
        """Whether the readings around a false alarm are being written."""
        return self._write is not None

    def submit(self, request: Request, respond: Respond) -> bool:
        """Queue a request, on any thread; it is answered later. Return False if too many requests wait."""
        if self._requests.qsize() + len(self._responses) + self.is_writing >= _MAX_PENDING:
            return False
        self._requests.put((request, respond))
        return True

    def follow_clock(self, now: float) -> None:
        """Give the ends of mutes by the wall clock, which was set; `now` is in monotonic seconds."""
        if self.mutes.follow_clock(self._wall(), now):
            self._mute_ends_changed = True

    def process(
        self, events: Sequence[AlertEvent], statuses: Sequence[GroupStatus], now: float
    ) -> OperatorChanges:
        """Hold back the events of muted groups, execute the queued requests, remove long silent groups.

        Parameters
        ----------
        events : the alert events of the batch.
        statuses : statuses of the groups whose status changed.
        now : monotonic seconds.
        """
        groups = self._groups
        changes = OperatorChanges([])
        changes.mutes_changed = self.mutes.expire(now) or self._mute_ends_changed
        self._mute_ends_changed = False
        if changes.mutes_changed or groups.has_loaded_held_events:
            self._release_unmuted(changes)
        changes.events += groups.filter_events(events, self.mutes.is_muted) if events else []
        self._process_requests(changes, now)
        self._remover.remove_expired(changes, now)
        if self._responses:
            self.pending_groups = {**(self.pending_groups or {}), **dict.fromkeys(changes.changed_groups)}
        # From the statuses and not from the events: with `every_window` an incident ends without an event.
        ended = [status.group for status in statuses if status.incident is None]
        groups.retire_incidents([*ended, *changes.changed_groups])
        return changes

    def send_responses(self) -> None:
        """Send the responses. The changes that they report must be stored before."""
        for respond, response in self._responses:
            respond(response)
        self._responses.clear()
        self.pending_groups = None

    def _process_requests(self, changes: OperatorChanges, now: float) -> None:
        """Execute requests in order, until a request must wait for the write of readings."""
        if self._write is not None:
            if not self._write.is_done:
                return
            write, self._write = self._write, None
            self._answer(write.request, write.respond, lambda: self._end_false_alarm(write, changes, now))
        while self._write is None and not self._requests.empty():
            request, respond = self._requests.get()
            if isinstance(request, FalseAlarm):
                self._begin_false_alarm(request, respond, now)
            else:
                self._answer(request, respond, partial(self._execute, request, changes, now))

    def _answer(self, request: Request, respond: Respond, execute: Callable[[], dict[str, object]]) -> None:
        """Execute a request, and keep the response until the change is stored."""
        try:
            response = response_payload(request.transaction, result=execute())
        except RequestRejected as rejection:
            response = response_payload(request.transaction, str(rejection))
            self._request_log.log_rejected(request.name, str(rejection))
        self._responses.append((respond, response))

    def _execute(self, request: Request, changes: OperatorChanges, now: float) -> dict[str, object]:
        """Execute a request; return further fields of the response.

        Raises
        ------
        RequestRejected : the request can't be executed; nothing changed.
        """
        match request:
            case Silence(group=pattern, minutes=minutes) if minutes:
                require_matcher(self._groups, pattern, now)
                return self._mute(pattern, minutes, changes, now)
            case Silence(group=pattern):
                return self._unmute(pattern, changes)
            case Forget(group=pattern):
                count = self._remover.remove_matching(pattern, changes, now)
                if changes.mutes_changed:
                    self._release_unmuted(changes)
                return {"count": count}
            case Acknowledge():
                return self._acknowledge(request, changes, now)
        raise RequestRejected("this request is not worked on here")

    def _mute(self, pattern: str, minutes: float, changes: OperatorChanges, now: float) -> dict[str, object]:
        try:
            until = self.mutes.mute(pattern, 60 * minutes, wall=self._wall(), now=now)
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
            names = [group_from_incident(self._groups, request.incident, now)]
            if groups.incident_id(names[0]) != request.incident:
                raise RequestRejected(f"incident {request.incident!r} is not open")
        else:
            matches = require_matcher(self._groups, str(request.group), now)
            names = [name for name in groups.groups_with_incident() if matches(name)]
            if not names:
                raise RequestRejected(f"{request.group!r} has no open incident")
        acknowledged = [groups.acknowledge(name) for name in names]
        changes.changed_groups += names
        changes.groups_to_publish += names
        _log.info(
            "acknowledged %s open incidents: %s",
            len(acknowledged),
            ", ".join(map(repr, acknowledged[:_MAX_LISTED_INCIDENTS])),
        )
        return {"count": len(acknowledged), "incidents": acknowledged[:_MAX_LISTED_INCIDENTS]}

    def _begin_false_alarm(self, request: FalseAlarm, respond: Respond, now: float) -> None:
        """Start writing the readings around a false alarm; if there is no such incident, reject it."""
        try:
            group, event = self._find_incident(request, now)
        except RequestRejected as rejection:
            self._answer(request, respond, partial(_reject, rejection))
            return
        file, readings = self.false_alarms, self._groups.readings_around(event)
        result = append_in_background(file, event, readings, self._wake)
        self._write = _Write(request, respond, group, event, len(readings.ts), file, result)

    def _find_incident(self, request: FalseAlarm, now: float) -> tuple[str, AlertEvent]:
        """Return group and first event of the incident that a request names.

        Raises
        ------
        RequestRejected : there is no such incident, or it can't be read.
        """
        name = (
            group_from_incident(self._groups, request.incident, now)
            if request.incident
            else require_group(self._groups, request.group, now)
        )
        try:
            incident = self._groups.last_incident(name)
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
        return name, event

    def _end_false_alarm(self, write: _Write, changes: OperatorChanges, now: float) -> dict[str, object]:
        """End the incident of a false alarm whose readings are written, if it is still open.

        Raises
        ------
        RequestRejected : the readings could not be written; the incident stays open.
        """
        path = write.file.path
        try:
            is_new = write.result.result()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RequestRejected(f"alerts.false_alarms: {path}: {reason}") from error
        groups, name, event = self._groups, write.group, write.event
        groups.load_evicted([name], now)  # the group may have been evicted during the write
        if groups.incident_id(name) == event.id:
            kind = groups.kind(name)
            groups.reset_after_false_alarm(name)
            resolved_event = end_early(event, groups.last_ts(name), kind)
            changes.events += groups.filter_events([resolved_event], self.mutes.is_muted)
        changes.changed_groups.append(name)
        changes.groups_to_publish.append(name)
        if is_new:
            _log.info(
                "incident %r was a false alarm: %s readings around it are in %s",
                event.id,
                write.reading_count,
                path,
            )
        else:
            _log.info("incident %r was a false alarm: the readings around it were in %s", event.id, path)
        return {"incident": event.id}

    def _release_unmuted(self, changes: OperatorChanges) -> None:
        released = self._groups.release_events(self.mutes.is_muted)
        changes.events += released
        changes.changed_groups += [event.group for event in released]


def _reject(rejection: RequestRejected) -> dict[str, object]:
    raise rejection
