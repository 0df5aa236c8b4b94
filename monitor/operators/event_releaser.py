"""Publishes the held-back events of groups that are no longer muted, in portions."""

from collections.abc import Callable, Iterator
from itertools import islice

from monitor.groups.mutes import Mutes
from monitor.groups.operator_changes import OperatorChanges
from monitor.groups.state import GroupStates

__all__ = ["EventReleaser"]

# Groups between two looks at the clock: 1 ms where their events are published.
_NAMES_PER_CHECK = 64


class EventReleaser:
    """Looks through the groups with held-back events after a mute has ended.

    All of 100,000 groups may have some, and a mute that ends must not make batches wait for all of them.

    Parameters
    ----------
    groups : the state of the groups.
    mutes : the mutes.
    """

    def __init__(self, groups: GroupStates, mutes: Mutes) -> None:
        self._groups = groups
        self._mutes = mutes
        self._is_requested = False
        self._names: Iterator[str] | None = None
        self.is_busy = False
        """Whether groups are left to look at."""

    def request(self) -> None:
        """Look at all groups with held-back events; what is under way is finished before."""
        self._is_requested = self.is_busy = True

    def advance(self, changes: OperatorChanges, is_time_up: Callable[[], bool]) -> None:
        """Publish events until all groups were looked at or the time is up."""
        while self.is_busy:
            if self._names is None:
                self._names, self._is_requested = iter(self._groups.groups_with_held_events()), False
            names = list(islice(self._names, _NAMES_PER_CHECK))
            released = self._groups.release_events(names, self._mutes.is_muted)
            changes.events += released
            changes.changed_groups += [event.group for event in released]
            if len(names) < _NAMES_PER_CHECK:
                self._names = None
            self.is_busy = self._is_requested or self._names is not None
            if is_time_up():
                return
