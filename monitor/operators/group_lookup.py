"""Finds the groups that a request names, in memory and in the store."""

from collections.abc import Sequence

from monitor.core.patterns import is_pattern
from monitor.groups.state import GroupStates
from monitor.operators.requests import RequestRejected

__all__ = ["group_from_incident", "list_names", "names_to_match", "require_group"]

# Maximum number of names in a line of the log.
_MAX_LOGGED_NAMES = 20


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


def list_names(names: Sequence[str]) -> str:
    """Return the first of some names, for a line of the log."""
    listed = ", ".join(map(repr, names[:_MAX_LOGGED_NAMES]))
    return listed if len(names) <= _MAX_LOGGED_NAMES else f"{listed}, ..."
