"""Removes groups for good: those that an operator names, and those that are silent for too long."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain, takewhile

from monitor.core.patterns import PatternSet, is_pattern, literal_prefix
from monitor.groups.mutes import Mutes
from monitor.groups.operator_changes import OperatorChanges
from monitor.groups.state import GroupStates
from monitor.operators.group_lookup import list_names
from monitor.operators.group_work import GroupWork
from monitor.operators.requests import RequestRejected

__all__ = ["GroupRemover"]

_log = logging.getLogger(__name__)

# Maximum number of groups that a request removes. They are removed in one transaction between two batches,
# with up to two messages each, so 10,000 groups delay the next batch by 0.2 s.
_MAX_GROUPS_PER_REQUEST = 10_000
# Names read from the store at a time: 1 ms.
_NAMES_PER_QUERY = 1000
_REASON = "the group was forgotten"


class GroupRemover:
    """Removes groups from memory; the store and the retained messages follow with the next commit.

    Parameters
    ----------
    groups : the state of the groups.
    mutes : the mutes; those whose pattern is a removed group's name are removed, too.
    expected_groups : groups of `input.groups`, which are never removed: the next start would add them again.
    stored_names : takes the first name and a number; returns so many names of groups in the store, in order.
    find_expired : takes monotonic seconds; returns groups that are silent for too long.
    """

    def __init__(
        self,
        *,
        groups: GroupStates,
        mutes: Mutes,
        expected_groups: Collection[str] = (),
        stored_names: Callable[[str, int], Sequence[str]] = lambda _, __: (),
        find_expired: Callable[[float], Sequence[str]] = lambda _: (),
    ) -> None:
        self._groups = groups
        self._mutes = mutes
        self._expected_groups = frozenset(expected_groups)
        self._stored_names = stored_names
        self._find_expired = find_expired

    def remove_matching(self, pattern: str) -> GroupWork:
        """Return the work that removes the groups that match a pattern, and returns their number.

        If no group matches, or too many do, it raises RequestRejected, and nothing has changed.
        """
        matches, found, known = PatternSet([pattern]).matches, dict[str, None](), self._groups

        def visit(name: str, _: OperatorChanges) -> None:
            if name not in found and matches(name) and name not in known.deleted_groups:
                found[name] = None
                self._check_count(pattern, len(found) - len(self._expected_groups))

        def finish(changes: OperatorChanges, now: float) -> dict[str, object]:
            names = self._require_removable(pattern, found)
            self._remove(names, changes, now)
            _log.info("forgot %s groups that fit %r: %s", len(names), pattern, list_names(names))
            return {"count": len(names)}

        return GroupWork(chain(self._names_in_memory(pattern), self._names_in_store(pattern)), visit, finish)

    def remove_expired(self, changes: OperatorChanges, now: float) -> None:
        """Remove groups that are silent for too long.

        Parameters
        ----------
        changes : receives the removed groups, and the events that end their incidents.
        now : monotonic seconds.
        """
        names = [name for name in self._find_expired(now) if name not in self._expected_groups]
        if names:
            self._remove(names, changes, now)
            _log.info(
                "forgot %s groups that were silent for input.forget_after: %s", len(names), list_names(names)
            )

    def _names_in_memory(self, pattern: str) -> list[str]:
        if is_pattern(pattern):
            return list(self._groups.names())
        return [pattern] if pattern in self._groups else []

    def _names_in_store(self, pattern: str) -> Iterator[str]:
        """Yield the names in the store that may match; the store may be written between two of them."""
        if not self._groups.has_evicted:
            return
        if not is_pattern(pattern):
            yield from self._stored_names(pattern, 1)
            return
        prefix = first = literal_prefix(pattern)
        while True:
            names = self._stored_names(first, _NAMES_PER_QUERY)
            yield from takewhile(lambda name: name.startswith(prefix), names)
            if len(names) < _NAMES_PER_QUERY or not names[-1].startswith(prefix):
                return
            first = f"{names[-1]}\0"

    def _require_removable(self, pattern: str, found: Iterable[str]) -> list[str]:
        """Return those of the groups that may be removed.

        Raises
        ------
        RequestRejected : there are none, or too many.
        """
        names = [name for name in found if name not in self._expected_groups]
        if not names and not found:
            raise RequestRejected(f"there is no group {pattern!r}, and none that fits it")
        if not names:
            raise RequestRejected(
                f"{pattern!r} is in input.groups, and the next start would add it again; expected it to be "
                "taken out there, and a restart"
            )
        self._check_count(pattern, len(names))
        return names

    @staticmethod
    def _check_count(pattern: str, count: int) -> None:
        if count > _MAX_GROUPS_PER_REQUEST:
            raise RequestRejected(
                f"more than {_MAX_GROUPS_PER_REQUEST} groups fit {pattern!r}; expected fewer at a time, or a "
                "narrower pattern"
            )

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
