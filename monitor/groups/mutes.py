"""Which groups' alerts are held back, and until when. The time is an argument."""

import re
from collections.abc import Callable, Iterable
from fnmatch import translate

__all__ = ["Mutes", "matcher"]

# Each group with an alert is held against all of them.
_MAX_PATTERNS = 100


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what says whether a group's name is `pattern` or fits it: `*` any text, `?` one character."""
    match = re.compile(translate(pattern)).match
    return lambda name: name == pattern or match(name) is not None


class Mutes:
    """Patterns of groups, each until some time: Unix seconds of the wall clock.

    A muted group is judged as any other, and its state is published; only its alert events wait. A group that
    doesn't speak is another thing: that one is `silent`.

    Parameters
    ----------
    stored : what an earlier process left: pattern and end.
    """

    def __init__(self, stored: Iterable[tuple[str, float]] = ()) -> None:
        self._until = dict(stored)
        # Never changed but replaced, for the page asks from another thread.
        self._matchers = {pattern: matcher(pattern) for pattern in self._until}
        self.dirty = False
        """Whether the store holds others."""

    def entries(self) -> list[tuple[str, float]]:
        """Return every pattern and its end."""
        return list(self._until.items())

    def mute(self, pattern: str, until: float) -> None:
        """Hold back alerts of the groups that fit; a pattern that is there already gets the new end.

        Raises
        ------
        ValueError : there are too many.
        """
        if pattern not in self._until and len(self._until) >= _MAX_PATTERNS:
            raise ValueError(
                f"{_MAX_PATTERNS} patterns are muted already; expected fewer, or a wider pattern"
            )
        self._until[pattern] = until
        self._matchers = {**self._matchers, pattern: matcher(pattern)}
        self.dirty = True

    def unmute(self, pattern: str) -> bool:
        """Drop a pattern, as it was given; return whether it was there."""
        if self._until.pop(pattern, None) is None:
            return False
        self._matchers = {other: matches for other, matches in self._matchers.items() if other != pattern}
        self.dirty = True
        return True

    def expire(self, now: float) -> bool:
        """Drop the patterns whose end has come; return whether there were any."""
        expired = [pattern for pattern, until in self._until.items() if until <= now]
        for pattern in expired:
            self.unmute(pattern)
        return bool(expired)

    def is_muted(self, group: str) -> bool:
        """Say whether a group's alerts are held back; any thread may ask."""
        return any(matches(group) for matches in self._matchers.values())

    def mark_saved(self) -> None:
        """Note that the store holds all of it."""
        self.dirty = False
