"""Finds the groups that sent no reading for so long that they are to be forgotten."""

import time
from collections.abc import Callable

from monitor.groups.state import GroupStates

__all__ = ["SavedTimes", "SilentGroupFinder"]

SavedTimes = Callable[[str, int], list[tuple[str, float]]]
"""Takes a name and a number; returns (group, time of its last save in Unix seconds) of so many groups of the
store that come after the name, in order of name."""

# Groups that are looked at in one call, and seconds between two calls: 0.5 ms a second, and 100,000 groups
# take seven minutes.
_GROUPS_PER_STEP = 256
_STEP_INTERVAL_S = 1.0
# For at most this many seconds after a start the wall clock isn't used: it may not be set yet, and stations
# that sent while no monitor ran are still to be heard.
_MAX_SETTLING_S = 3600.0


class SilentGroupFinder:
    """Looks through the store, some groups at a time.

    A group that fell silent in this process is measured with the monotonic clock. For one that was silent
    before, or was evicted from memory, the time when the store was written counts: a silent group isn't saved
    again. The wall clock is read once, after the process has settled, so a later step of it has no effect.

    Parameters
    ----------
    forget_after : seconds without a reading after which a silent group is found; 0: none is ever found.
    groups : the state of the groups.
    saved_times : reads the store.
    started_at : when the groups were restored, monotonic seconds.
    wall : returns seconds since the Unix epoch.
    """

    def __init__(
        self,
        *,
        forget_after: float,
        groups: GroupStates,
        saved_times: SavedTimes,
        started_at: float,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._forget_after = forget_after
        self._groups = groups
        self._saved_times = saved_times
        self._started_at = started_at
        self._wall = wall
        self._wall_offset: float | None = None  # wall clock minus monotonic clock, once settled
        self._next_step_at = started_at
        self._last_name = ""

    def find(self, now: float) -> list[str]:
        """Return groups that are to be forgotten, of the next part of the store.

        A group with an open incident isn't found: silence never resolves an alert.

        Parameters
        ----------
        now : monotonic seconds.
        """
        if not self._forget_after or now < self._next_step_at:
            return []
        self._next_step_at = now + _STEP_INTERVAL_S
        if self._wall_offset is None and now - self._started_at >= min(self._forget_after, _MAX_SETTLING_S):
            self._wall_offset = self._wall() - now
        rows = self._saved_times(self._last_name, _GROUPS_PER_STEP)
        self._last_name = rows[-1][0] if len(rows) == _GROUPS_PER_STEP else ""
        groups = self._groups
        expired = [name for name, saved_at in rows if self._is_expired(name, saved_at, now)]
        kept = set(groups.evicted_with_incident(expired)) if expired else ()
        return [name for name in expired if name not in kept and groups.incident_id(name) is None]

    def _is_expired(self, name: str, saved_at: float, now: float) -> bool:
        if name in self._groups.deleted_groups:  # the store couldn't be written
            return False
        if name in self._groups:
            last_seen = self._groups.silent_last_seen(name)
            if last_seen is None:
                return False
            if last_seen > self._started_at or now - last_seen >= self._forget_after:
                return now - last_seen >= self._forget_after
        if self._wall_offset is None:
            return False
        return now + self._wall_offset - saved_at >= self._forget_after
