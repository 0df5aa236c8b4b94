"""Finds the groups that a request names, in memory and in the store."""

from monitor.core.patterns import is_pattern
from monitor.groups.state import GroupStates
from monitor.operators.requests import RequestRejected

__all__ = ["group_from_incident", "names_to_match", "require_group"]


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


def names_to_match(groups: GroupStates, pattern: str, now: float) -> list[str]:
    """Return the names of groups that may match a pattern: those in memory, or the one with this name.

    Parameters
    ----------
    now : monotonic seconds; a group that is only in the store is loaded if the pattern is its name.
    """
    groups.load_evicted([pattern], now)
    if is_pattern(pattern):
        return list(groups.names())
    return [pattern] if pattern in groups else []
