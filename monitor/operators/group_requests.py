"""The requests `silence` and `acknowledge`: what they do with the groups that match their pattern."""

import logging
from collections.abc import Sequence

from monitor.core.patterns import PatternSet
from monitor.core.times import format_iso
from monitor.groups.mutes import Mutes
from monitor.groups.operator_changes import OperatorChanges
from monitor.groups.state import GroupStates
from monitor.operators.group_lookup import group_from_incident, list_names, names_to_match
from monitor.operators.group_work import GroupWork
from monitor.operators.requests import RequestRejected

__all__ = ["acknowledge_incident", "plan_acknowledge", "plan_mute"]

_log = logging.getLogger(__name__)

# Maximum number of incidents listed in a response, which also has their total number.
_MAX_LISTED_INCIDENTS = 100


def plan_mute(
    groups: GroupStates, mutes: Mutes, pattern: str, seconds: float, *, wall: float, now: float
) -> GroupWork:
    """Return the work that counts the groups that match a pattern, and then mutes it.

    Parameters
    ----------
    seconds : length of the mute.
    wall : seconds since the Unix epoch.
    now : monotonic seconds, read at the same time.
    """
    matches, count, wall_offset = PatternSet([pattern]).matches, 0, wall - now

    def visit(name: str, _: OperatorChanges) -> None:
        nonlocal count
        count += matches(name)

    def finish(changes: OperatorChanges, now: float) -> dict[str, object]:
        if not count:
            raise RequestRejected(f"there is no group {pattern!r}, and none that fits it")
        try:
            until = mutes.mute(pattern, seconds, wall=wall_offset + now, now=now)
        except ValueError as error:
            raise RequestRejected(str(error)) from error
        changes.mutes_changed = True
        covers_most = count > 1 and 2 * count > len(groups)
        _log.log(
            logging.WARNING if covers_most else logging.INFO,
            "alerts of %r are muted until %s: %s of %s groups",
            pattern,
            format_iso(until),
            count,
            len(groups),
        )
        return {"until": format_iso(until), "count": count}

    return GroupWork(names_to_match(groups, pattern, now), visit, finish)


def plan_acknowledge(groups: GroupStates, pattern: str, now: float) -> GroupWork:
    """Return the work that acknowledges the open incidents of the groups that match a pattern.

    Parameters
    ----------
    now : monotonic seconds.
    """
    matches, acknowledged, is_known = PatternSet([pattern]).matches, list[str](), False

    def visit(name: str, changes: OperatorChanges) -> None:
        nonlocal is_known
        if matches(name):
            is_known = True
            if groups.incident_id(name) is not None:
                acknowledged.append(_acknowledge(groups, name, changes))

    def finish(_: OperatorChanges, __: float) -> dict[str, object]:
        if not is_known:
            raise RequestRejected(f"there is no group {pattern!r}, and none that fits it")
        if not acknowledged:
            raise RequestRejected(f"{pattern!r} has no open incident")
        return _acknowledged_result(acknowledged)

    return GroupWork(names_to_match(groups, pattern, now), visit, finish)


def acknowledge_incident(
    groups: GroupStates, incident: str, changes: OperatorChanges, now: float
) -> dict[str, object]:
    """Acknowledge an open incident by its id; return further fields of the response.

    Raises
    ------
    RequestRejected : it is not open.
    """
    name = group_from_incident(groups, incident, now)
    if groups.incident_id(name) != incident:
        raise RequestRejected(f"incident {incident!r} is not open")
    return _acknowledged_result([_acknowledge(groups, name, changes)])


def _acknowledge(groups: GroupStates, name: str, changes: OperatorChanges) -> str:
    """Acknowledge a group's open incident; return its id."""
    changes.changed_groups.append(name)
    changes.groups_to_publish.append(name)
    return groups.acknowledge(name) or ""


def _acknowledged_result(incidents: Sequence[str]) -> dict[str, object]:
    """Log the acknowledged incidents; return the further fields of the response."""
    _log.info("acknowledged %s open incidents: %s", len(incidents), list_names(incidents))
    return {"count": len(incidents), "incidents": incidents[:_MAX_LISTED_INCIDENTS]}
