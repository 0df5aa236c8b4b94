"""Finds the groups that a request names, in memory and in the store."""

from collections.abc import Callable

from monitor.groups.mutes import matcher
from monitor.groups.state import GroupStates
from monitor.operators.requests import RequestRejected

__all__ = ["group_from_incident", "require_group", "require_matcher"]


def require_group(groups: GroupStates, name: str | None, now: float) -> str:
    """Return the name of a group, after loading it into memory if necessary.

    Parameters
    ----------
    now : monotonic seconds.

    Raises
    ------
    RequestRejected : there is no such group.
    """
    group = name or ""
    groups.load_evicted([group], now)
    if group not in groups:
        hint = "; expected one group's name, and no pattern" if {"*", "?"} & set(group) else ""
        raise RequestRejected(f"there is no group {group!r}{hint}")
    return group


def group_from_incident(groups: GroupStates, incident: str, now: float) -> str:
    """Return the name of the group that an incident's id begins with.

    Raises
    ------
    RequestRejected : there is no such group.
    """
    try:
        return require_group(groups, incident.rpartition(":")[0], now)
    except RequestRejected:
        raise RequestRejected(f"there is no incident {incident!r}") from None


def require_matcher(groups: GroupStates, pattern: str, now: float) -> Callable[[str], bool]:
    """Return a function that tells whether a group's name matches a pattern.

    Raises
    ------
    RequestRejected : no group in memory matches, and no group in the store has the pattern as its name.
    """
    matches = matcher(pattern)
    groups.load_evicted([pattern], now)
    if not any(map(matches, groups.names())):
        raise RequestRejected(f"there is no group {pattern!r}, and none that fits it")
    return matches
