"""Where operators' requests are worked on, between two batches, and where their word holds alerts back."""

import logging
import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from monitor.core.times import iso
from monitor.core.verdicts import AlertEvent, GroupState
from monitor.groups.mutes import Mutes, matcher
from monitor.groups.operator_changes import Decisions
from monitor.groups.state import Memory
from monitor.operators.false_alarms import FalseAlarms
from monitor.operators.requests import Acknowledge, FalseAlarm, Refusal, Request, Silence, answer
from monitor.telemetry.logs import RequestLog

__all__ = ["Desk", "Respond"]

_log = logging.getLogger(__name__)

# Requests that wait for their turn or their answer.
_MOST_WAITING = 50
# Incidents that an answer names; it tells how many there are.
_MOST_NAMED = 100

Respond = Callable[[bytes], None]
"""Sends an answer."""


class Desk:
    """Does what operators ask for. All but `ask` belongs to the pipeline thread.

    Parameters
    ----------
    memory : all that is known of each group.
    mutes : whose alerts are held back.
    false_alarms : takes their windows.
    wall : returns seconds since the Unix epoch.
    """

    def __init__(
        self, memory: Memory, mutes: Mutes, false_alarms: FalseAlarms, wall: Callable[[], float] = time.time
    ) -> None:
        self._memory = memory
        self.mutes = mutes
        self.false_alarms = false_alarms
        self._wall = wall
        self._refused = RequestLog()
        self._asked: queue.SimpleQueue[tuple[Request, Respond]] = queue.SimpleQueue()
        self._answers: list[tuple[Respond, bytes]] = []
        self.waiting: dict[str, None] | None = None
        """Groups whose change is to be permanent before it is answered; None where nobody waits."""

    def ask(self, request: Request, respond: Respond) -> bool:
        """Take a request, from any thread, that is answered once it is done; False where too many wait."""
        if self._asked.qsize() + len(self._answers) >= _MOST_WAITING:
            return False
        self._asked.put((request, respond))
        return True

    def work(self, events: Sequence[AlertEvent], lines: Sequence[GroupState], now: float) -> Decisions:
        """Take a batch's events and do what was asked.

        Parameters
        ----------
        events : what the stages say.
        lines : those that changed on the board.
        now : monotonic seconds.
        """
        incidents = self._memory.incidents
        decided = Decisions([])
        decided.muted = self.mutes.expire(self._wall())
        if decided.muted or incidents.recalled:
            self._release(decided)
        decided.events += incidents.pass_on(events, self.mutes.muted) if events else []
        while not self._asked.empty():
            request, respond = self._asked.get()
            try:
                said = answer(request.transaction, found=self._do(request, decided, now))
            except Refusal as refusal:
                said = answer(request.transaction, str(refusal))
                self._refused.refused(request.name, str(refusal))
            self._answers.append((respond, said))
        if self._answers:
            self.waiting = {**(self.waiting or {}), **dict.fromkeys(decided.groups)}
        # By its line, for with `every_window` an incident ends without an event.
        ended = [line.group for line in lines if line.incident is None]
        incidents.settle([*ended, *decided.groups], self._memory.chain.alerts.incident)
        return decided

    def answer(self) -> None:
        """Send the answers: what they tell of is permanent."""
        for respond, said in self._answers:
            respond(said)
        self._answers.clear()
        self.waiting = None

    def _do(self, request: Request, decided: Decisions, now: float) -> dict[str, object]:
        """Do what is asked; return what the answer tells of it.

        Raises
        ------
        Refusal : it can't be done, and nothing changed.
        """
        match request:
            case Silence(group=pattern, minutes=minutes) if minutes:
                self._find(pattern, now)
                return self._mute(pattern, minutes, decided)
            case Silence(group=pattern):
                return self._unmute(pattern, decided)
            case Acknowledge():
                return self._acknowledge(request, decided, now)
            case FalseAlarm():
                return self._dismiss(request, decided, now)
        raise Refusal("this request is not worked on here")

    def _mute(self, pattern: str, minutes: float, decided: Decisions) -> dict[str, object]:
        until = self._wall() + 60 * minutes
        try:
            self.mutes.mute(pattern, until)
        except ValueError as error:
            raise Refusal(str(error)) from error
        decided.muted = True
        _log.info("alerts of %r are muted until %s", pattern, iso(until))
        return {"until": iso(until)}

    def _unmute(self, pattern: str, decided: Decisions) -> dict[str, object]:
        if not self.mutes.unmute(pattern):
            raise Refusal(f"{pattern!r} isn't muted; expected a pattern as it was given")
        decided.muted = True
        self._release(decided)
        _log.info("alerts of %r are no longer muted", pattern)
        return {}

    def _acknowledge(self, request: Acknowledge, decided: Decisions, now: float) -> dict[str, object]:
        alerts, incidents = self._memory.chain.alerts, self._memory.incidents
        if request.incident is not None:
            names = [self._group_of(request.incident, now)]
            if alerts.incident(names[0]) != request.incident:
                raise Refusal(f"incident {request.incident!r} is not open")
        else:
            fits = self._find(str(request.group), now)
            names = [name for name in alerts.groups() if fits(name) and alerts.incident(name)]
            if not names:
                raise Refusal(f"{request.group!r} has no open incident")
        found = []
        for name in names:
            found.append(alerts.acknowledge(name))
            latest = incidents.latest(name)
            if latest is not None:
                latest.acknowledged = True
                incidents.keep(latest)
        decided.groups += names
        decided.shown += names
        _log.info("acknowledged %s open incidents: %s", len(found), ", ".join(map(repr, found[:_MOST_NAMED])))
        return {"count": len(found), "incidents": found[:_MOST_NAMED]}

    def _dismiss(self, request: FalseAlarm, decided: Decisions, now: float) -> dict[str, object]:
        memory = self._memory
        name = self._group_of(request.incident, now) if request.incident else self._recall(request.group, now)
        try:
            latest = memory.last_incident(name)
        except ValueError as error:
            _log.error("%s; the request is refused", error)
            raise Refusal(str(error)) from error
        if latest is None:
            raise Refusal(f"{name!r} had no incident")
        event = latest.event
        if request.incident not in {None, event.id}:
            raise Refusal(f"incident {request.incident!r} is not known any more; the latest is {event.id!r}")
        try:
            self.false_alarms.append(event)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise Refusal(f"alerts.false_alarms: {self.false_alarms.path}: {reason}") from error
        if memory.chain.alerts.incident(name) == event.id:
            memory.start_over(name)
            ended = replace(
                event, status="resolved", ended_at=memory.board.last_ts(name), repeat=0,
                contributions=None, contributions_by_step=None, reason="",
            )  # fmt: skip
            decided.events += memory.incidents.pass_on([ended], self.mutes.muted)
        decided.groups.append(name)
        decided.shown.append(name)
        _log.info("incident %r was a false alarm: its window is in %s", event.id, self.false_alarms.path)
        return {"incident": event.id}

    def _group_of(self, incident: str, now: float) -> str:
        try:
            return self._recall(incident.rpartition(":")[0], now)
        except Refusal:
            raise Refusal(f"there is no incident {incident!r}") from None

    def _recall(self, name: str | None, now: float) -> str:
        """Return a group's name, if there is such a group."""
        group = name or ""
        self._memory.recall([group], now)
        if group not in self._memory.board:
            hint = "; expected one group's name, and no pattern" if {"*", "?"} & set(group) else ""
            raise Refusal(f"there is no group {group!r}{hint}")
        return group

    def _find(self, pattern: str, now: float) -> Callable[[str], bool]:
        """Return what says whether a group fits, if some group does."""
        fits = matcher(pattern)
        self._memory.recall([pattern], now)
        if not any(map(fits, self._memory.board.names())):
            raise Refusal(f"there is no group {pattern!r}, and none that fits it")
        return fits

    def _release(self, decided: Decisions) -> None:
        told = self._memory.incidents.release(self.mutes.muted, self._memory.chain.alerts.incident)
        decided.events += told
        decided.groups += [event.group for event in told]
