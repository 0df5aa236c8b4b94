"""Counts the groups that the mutes cover, some at a time."""

from collections.abc import Callable, Iterator
from itertools import islice

from monitor.groups.mutes import Mutes
from monitor.groups.state import GroupStates

__all__ = ["MuteCoverage"]

# Seconds after which the groups are counted again: new ones may have come.
_INTERVAL_S = 60.0
# Groups between two looks at the clock.
_NAMES_PER_CHECK = 64


class MuteCoverage:
    """Counts muted groups.

    With 100,000 groups counting takes 0.05 s or more, so it goes on from call to call, until it is done.

    Parameters
    ----------
    groups : the groups in memory are counted.
    mutes : the mutes.
    """

    def __init__(self, groups: GroupStates, mutes: Mutes) -> None:
        self._groups = groups
        self._mutes = mutes
        self.revision = -1
        """Of the mutes when their groups were begun to be counted last."""
        self._names: Iterator[str] | None = None
        self._next_count_at = 0.0
        self._partial_count = 0
        self.count = 0
        """Muted groups, when they were counted last."""

    def advance(self, now: float, is_time_up: Callable[[], bool]) -> None:
        """Count on.

        Parameters
        ----------
        now : monotonic seconds.
        is_time_up : returns whether to return soon.
        """
        if not self._mutes.count:
            self.count, self._names, self.revision = 0, None, self._mutes.revision
            return
        # Not while it is counting: with mutes that change all the time it would never come to an end.
        if self._names is None and (self.revision != self._mutes.revision or now >= self._next_count_at):
            self.revision, self._next_count_at = self._mutes.revision, now + _INTERVAL_S
            self._names, self._partial_count = iter(list(self._groups.names())), 0
        while self._names is not None:
            names = list(islice(self._names, _NAMES_PER_CHECK))
            self._partial_count += sum(map(self._mutes.is_muted, names))
            if len(names) < _NAMES_PER_CHECK:
                self.count, self._names = self._partial_count, None
            if is_time_up():
                return
