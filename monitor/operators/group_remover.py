"""Removes groups for good: those that an operator names, and those that are silent for too long."""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence

from monitor.groups.mutes import Mutes, literal_prefix, matcher
from monitor.groups.operator_changes import OperatorChanges
from monitor.groups.state import GroupStates
from monitor.operators.requests import RequestRejected

__all__ = ["GroupRemover"]

_log = logging.getLogger(__name__)

# Maximum number of groups that a request removes. They are removed in one transaction between two batches,
# with up to two messages each, so 10,000 groups delay the next batch by 0.2 s.
_MAX_GROUPS_PER_REQUEST = 10_000
# Maximum number of names in a line of the log.
_MAX_LOGGED_NAMES = 20
_REASON = "the group was forgotten"


class GroupRemover:
    """Removes groups from memory; the store and the retained messages follow with the next commit.

    Parameters
    ----------
    groups : the state of the groups.
    mutes : the mutes; those whose pattern is a removed group's name are removed, too.
    expected_groups : groups of `input.groups`, which are never removed: the next start would add them again.
    stored_names : takes a prefix; yields the names of the groups in the store that begin with it.
    find_expired : takes monotonic seconds; returns groups that are silent for too long.
    """

    def __init__(
        self,
        *,
        groups: GroupStates,
        mutes: Mutes,
        expected_groups: Collection[str] = (),
        stored_names: Callable[[str], Iterable[str]] = lambda _: (),
        find_expired: Callable[[float], Sequence[str]] = lambda _: (),
    ) -> None:
        self._groups = groups
        self._mutes = mutes
        self._expected_groups = frozenset(expected_groups)
        self._stored_names = stored_names
        self._find_expired = find_expired

    def remove_matching(self, pattern: str, changes: OperatorChanges, now: float) -> int:
        """Remove the groups that match a pattern; return their number.

        Parameters
        ----------
        changes : receives the removed groups, and the events that end their incidents.
        now : monotonic seconds.

        Raises
        ------
        RequestRejected : no group matches, or too many do; nothing changed.
        """
        names = self._find_matching(pattern)
        self._remove(names, changes, now)
        _log.info("forgot %s groups that fit %r: %s", len(names), pattern, _list_names(names))
        return len(names)

    def remove_expired(self, changes: OperatorChanges, now: float) -> None:
        """Remove groups that are silent for too long; parameters as for `remove_matching`."""
        names = [name for name in self._find_expired(now) if name not in self._expected_groups]
        if names:
            self._remove(names, changes, now)
            _log.info(
                "forgot %s groups that were silent for input.forget_after: %s", len(names), _list_names(names)
            )

    def _find_matching(self, pattern: str) -> list[str]:
        matches, groups = matcher(pattern), self._groups
        found = dict.fromkeys(filter(matches, groups.names()))
        if groups.has_evicted:
            for stored in self._stored_names(literal_prefix(pattern)):
                if len(found) > _MAX_GROUPS_PER_REQUEST + len(self._expected_groups):
                    break
                if matches(stored) and stored not in groups.deleted_groups:
                    found[stored] = None
        if not found:
            raise RequestRejected(f"there is no group {pattern!r}, and none that fits it")
        names = [name for name in found if name not in self._expected_groups]
        if not names:
            raise RequestRejected(
                f"{pattern!r} is in input.groups, and the next start would add it again; expected it to be "
                "taken out there, and a restart"
            )
        if len(names) > _MAX_GROUPS_PER_REQUEST:
            raise RequestRejected(
                f"more than {_MAX_GROUPS_PER_REQUEST} groups fit {pattern!r}; expected fewer at a time, or a "
                "narrower pattern"
            )
        return names

    def _remove(self, names: Sequence[str], changes: OperatorChanges, now: float) -> None:
        groups = self._groups
        groups.load_evicted(groups.evicted_with_incident(names), now)
        for name in names:
            if name in groups:
                changes.events += groups.final_events(name, _REASON)
            if self._mutes.unmute(name):
                changes.mutes_changed = True
        groups.delete(names)
        changes.forgotten_groups += names


def _list_names(names: Sequence[str]) -> str:
    listed = ", ".join(map(repr, names[:_MAX_LOGGED_NAMES]))
    return listed if len(names) <= _MAX_LOGGED_NAMES else f"{listed}, ..."
