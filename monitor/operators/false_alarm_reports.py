"""The request `false-alarm`: writes the readings around an incident, then ends it."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from monitor.core.verdicts import AlertEvent
from monitor.groups.incidents import end_early
from monitor.groups.mutes import Mutes
from monitor.groups.operator_changes import OperatorChanges
from monitor.groups.state import GroupStates
from monitor.operators.false_alarms import FalseAlarmFile, append_in_background
from monitor.operators.group_lookup import group_from_incident, require_group
from monitor.operators.requests import FalseAlarm, RequestRejected

__all__ = ["FalseAlarmWrite", "begin_false_alarm", "end_false_alarm"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FalseAlarmWrite:
    """A false alarm whose readings are being written."""

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


def begin_false_alarm(
    groups: GroupStates, file: FalseAlarmFile, request: FalseAlarm, now: float, wake: Callable[[], None]
) -> FalseAlarmWrite:
    """Start writing the readings around a false alarm, on a separate thread.

    Parameters
    ----------
    now : monotonic seconds.
    wake : called on that thread when the write has ended.

    Raises
    ------
    RequestRejected : there is no such incident, or it can't be read.
    """
    group, event = _find_incident(groups, request, now)
    readings = groups.readings_around(event)
    result = append_in_background(file, event, readings, wake)
    return FalseAlarmWrite(group, event, len(readings.ts), file, result)


def end_false_alarm(
    groups: GroupStates, mutes: Mutes, write: FalseAlarmWrite, changes: OperatorChanges, now: float
) -> dict[str, object]:
    """End the incident of a false alarm whose readings are written, if it is still open.

    Returns
    -------
    Further fields of the response.

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
    name, event = write.group, write.event
    groups.load_evicted([name], now)  # the group may have been evicted during the write
    if groups.incident_id(name) == event.id:
        kind = groups.kind(name)
        groups.reset_after_false_alarm(name)
        resolved_event = end_early(event, groups.last_ts(name), kind)
        changes.events += groups.filter_events([resolved_event], mutes.is_muted)
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


def _find_incident(groups: GroupStates, request: FalseAlarm, now: float) -> tuple[str, AlertEvent]:
    """Return group and first event of the incident that a request names.

    Raises
    ------
    RequestRejected : there is no such incident, or it can't be read.
    """
    name = (
        group_from_incident(groups, request.incident, now)
        if request.incident
        else require_group(groups, request.group, now)
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
    return name, event
