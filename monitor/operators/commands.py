"""Executes the requests of operators between two batches, and holds back the alerts of muted groups."""

import logging
import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from monitor.core.verdicts import AlertEvent, GroupStatus
from monitor.groups.mutes import Mutes
from monitor.groups.operator_changes import OperatorChanges
from monitor.groups.state import GroupStates
from monitor.operators.event_releaser import EventReleaser
from monitor.operators.false_alarm_reports import FalseAlarmWrite, begin_false_alarm, end_false_alarm
from monitor.operators.false_alarms import FalseAlarmFile
from monitor.operators.group_remover import GroupRemover
from monitor.operators.group_requests import acknowledge_incident, plan_acknowledge, plan_mute
from monitor.operators.group_work import GroupWork
from monitor.operators.mute_coverage import MuteCoverage
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
# Seconds of a turn of the pipeline after which requests that look at each group go on in the next turn.
_MAX_SECONDS_PER_TURN = 0.005

Respond = Callable[[bytes], None]
"""Sends the response to a request."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """A request that was begun and isn't done."""

    request: Request
    respond: Respond
    work: GroupWork | FalseAlarmWrite
    """It looks at each group, or waits for a write."""


class OperatorCommands:
    """Executes requests in the order of arrival. Only `submit` is called on other threads.

    While the readings around a false alarm are written to its file, on a separate thread, or a request still
    looks at all groups, the following requests wait: their results depend on it, and responses are sent in
    the order of the requests. Batches don't wait.

    Parameters
    ----------
    groups : the state of the groups.
    mutes : the mutes, which requests change.
    false_alarms : the file to which the readings around false alarms are written.
    remover : removes groups for good; None: one that knows only the groups in memory.
    wake : called, on any thread, when there is work for `process` without a batch.
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
        self._releaser = EventReleaser(groups, mutes)
        self._coverage = MuteCoverage(groups, mutes)
        self._begun: _Begun | None = None
        self._responses: list[tuple[Respond, bytes]] = []
        self.pending_groups: dict[str, None] | None = None
        """Groups that must be stored before the responses are sent; None if no response waits."""

    @property
    def is_busy(self) -> bool:
        """Whether a request was begun and isn't done."""
        return self._begun is not None

    @property
    def muted_group_count(self) -> int:
        """Groups in memory that are muted, as far as they are counted. Any thread may read it."""
        return self._coverage.count

    def submit(self, request: Request, respond: Respond) -> bool:
        """Queue a request, on any thread; it is answered later. Return False if too many requests wait."""
        if self._requests.qsize() + len(self._responses) + self.is_busy >= _MAX_PENDING:
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
        groups, deadline = self._groups, time.monotonic() + _MAX_SECONDS_PER_TURN
        changes = OperatorChanges([])
        changes.mutes_changed = self.mutes.expire(now) or self._mute_ends_changed
        self._mute_ends_changed = False
        if changes.mutes_changed or groups.has_loaded_held_events:
            self._releaser.request()

        def is_time_up() -> bool:
            return time.monotonic() >= deadline

        # Most turns have nothing of all that to do, and each call takes 0.2 µs of the 0.5 ms of a reading.
        if self._releaser.is_busy:
            self._releaser.advance(changes, is_time_up)
        if events:
            changes.events += groups.filter_events(events, self.mutes.is_muted)
            changes.muted_events = groups.take_muted_events()
        if self._begun is not None or not self._requests.empty():
            self._process_requests(changes, is_time_up, now)
            if self._releaser.is_busy:
                self._releaser.advance(changes, is_time_up)
        if self._coverage.revision != self.mutes.revision or self.mutes.count:
            self._coverage.advance(now, is_time_up)
        self._remover.remove_expired(changes, now)
        if self._responses:
            self.pending_groups = {**(self.pending_groups or {}), **dict.fromkeys(changes.changed_groups)}
        # From the statuses and not from the events: with `every_window` an incident ends without an event.
        ended = [status.group for status in statuses if status.incident is None]
        groups.retire_incidents([*ended, *changes.changed_groups])
        if self._releaser.is_busy or (self._begun is not None and isinstance(self._begun.work, GroupWork)):
            self._wake()
        return changes

    def send_responses(self) -> None:
        """Send the responses. The changes that they report must be stored before."""
        for respond, response in self._responses:
            respond(response)
        self._responses.clear()
        self.pending_groups = None

    def _process_requests(self, changes: OperatorChanges, is_time_up: Callable[[], bool], now: float) -> None:
        """Execute requests in order, until a request must wait for a write, or for the next turn."""
        while True:
            if self._begun is not None and not self._continue(self._begun, changes, is_time_up, now):
                return
            if self._requests.empty():
                return
            request, respond = self._requests.get()
            try:
                work = self._begin(request, now)
            except RequestRejected as rejection:
                self._reject(request, respond, rejection)
                continue
            if work is not None:
                self._begun = _Begun(request, respond, work)
            else:
                self._answer(request, respond, partial(self._execute, request, changes, now))

    def _begin(self, request: Request, now: float) -> GroupWork | FalseAlarmWrite | None:
        """Begin a request that may not be done in this turn; return None if it will be.

        Raises
        ------
        RequestRejected : the request can't be executed; nothing changed.
        """
        groups = self._groups
        match request:
            case Silence(group=pattern, minutes=minutes) if minutes:
                return plan_mute(groups, self.mutes, pattern, 60 * minutes, wall=self._wall(), now=now)
            case Forget(group=pattern):
                return self._remover.remove_matching(pattern)
            case Acknowledge(group=str() as pattern):
                return plan_acknowledge(groups, pattern, now)
            case FalseAlarm():
                return begin_false_alarm(groups, self.false_alarms, request, now, self._wake)
        return None

    def _continue(
        self, begun: _Begun, changes: OperatorChanges, is_time_up: Callable[[], bool], now: float
    ) -> bool:
        """Go on with a request; return whether it is done, and answer it then."""
        work = begun.work
        if isinstance(work, FalseAlarmWrite):
            if not work.is_done:
                return False
            self._begun = None
            end = partial(end_false_alarm, self._groups, self.mutes, work, changes, now)
            self._answer(begun.request, begun.respond, end)
            return True
        try:
            result = work.advance(changes, is_time_up, now)
        except RequestRejected as rejection:
            self._reject(begun.request, begun.respond, rejection)
        else:
            if result is None:
                return False
            self._answer(begun.request, begun.respond, lambda: result)
        self._begun = None
        # What it changed in earlier turns may not be stored yet.
        self.pending_groups = {**(self.pending_groups or {}), **work.changed_groups}
        return True

    def _answer(self, request: Request, respond: Respond, execute: Callable[[], dict[str, object]]) -> None:
        """Execute a request, and keep the response until the change is stored."""
        try:
            response = response_payload(request.transaction, result=execute())
        except RequestRejected as rejection:
            self._reject(request, respond, rejection)
        else:
            self._responses.append((respond, response))

    def _reject(self, request: Request, respond: Respond, rejection: RequestRejected) -> None:
        self._responses.append((respond, response_payload(request.transaction, str(rejection))))
        self._request_log.log_rejected(request.name, str(rejection))

    def _execute(self, request: Request, changes: OperatorChanges, now: float) -> dict[str, object]:
        """Execute a request about one incident or one mute; return further fields of the response.

        Raises
        ------
        RequestRejected : the request can't be executed; nothing changed.
        """
        match request:
            case Silence(group=pattern):
                return self._unmute(pattern, changes)
            case Acknowledge(incident=str() as incident):
                return acknowledge_incident(self._groups, incident, changes, now)
        raise RequestRejected("this request is not worked on here")

    def _unmute(self, pattern: str, changes: OperatorChanges) -> dict[str, object]:
        if not self.mutes.unmute(pattern):
            raise RequestRejected(f"{pattern!r} isn't muted; expected a pattern as it was given")
        changes.mutes_changed = True
        self._releaser.request()
        _log.info("alerts of %r are no longer muted", pattern)
        return {}
