"""Which groups' states are due to be published again because what their Normal excludes has changed."""

from collections import deque
from collections.abc import Callable, Iterable

__all__ = ["SensitivityWatch"]

# Seconds between two searches: each of a new group's first blocks changes the unit by a fifth and more.
_SEARCH_INTERVAL_S = 60.0
# States are passed on in portions of this many groups, this many seconds apart, like those that are repeated.
_PORTION_SIZE = 200
_PORTION_PAUSE_S = 0.5


class SensitivityWatch:
    """Finds such groups once a minute, and returns them little by little: no flood of retained messages.

    Parameters
    ----------
    find_changed : returns the groups whose unit has changed much since their state was published.
    """

    def __init__(self, find_changed: Callable[[], list[str]]) -> None:
        self._find_changed = find_changed
        self._pending: deque[str] = deque()
        self._next_search_at = 0.0
        self._next_portion_at = 0.0

    def add(self, groups: Iterable[str]) -> None:
        """Let the states of these groups be published again, in portions as well."""
        self._pending.extend(groups)

    def take_due(self, now: float) -> list[str]:
        """Return the groups whose states are due at `now`, monotonic seconds."""
        if now < self._next_portion_at:
            return []
        if not self._pending and now >= self._next_search_at:
            self._next_search_at = now + _SEARCH_INTERVAL_S
            self._pending.extend(self._find_changed())
        self._next_portion_at = now + _PORTION_PAUSE_S
        return [self._pending.popleft() for _ in range(min(_PORTION_SIZE, len(self._pending)))]
