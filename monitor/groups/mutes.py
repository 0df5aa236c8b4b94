"""Mutes: patterns of groups whose alerts are held back, and until when. The time is an argument."""

import re
from collections.abc import Callable, Iterable
from fnmatch import translate

__all__ = ["Mutes", "matcher"]

# Each group with an alert is matched against all of them.
_MAX_PATTERNS = 100


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return whether a name is `pattern` or matches it, as a function; `*` is any text, `?` one character."""
    match = re.compile(translate(pattern)).match
    return lambda name: name == pattern or match(name) is not None


class Mutes:
    """Patterns of groups, each with its end: Unix seconds of the wall clock.

    A muted group is judged as any other, and its state is published; only its alert events are held back. A
    group that sends nothing is not muted but `silent`.

    Parameters
    ----------
    stored : patterns and their ends, as `entries` returned them: here, or in another process.
    """

    def __init__(self, stored: Iterable[tuple[str, float]] = ()) -> None:
        self._until = dict(stored)
        # Replaced and never changed, because the page reads it from another thread.
        self._matchers = {pattern: matcher(pattern) for pattern in self._until}
        self.dirty = False
        """Whether the store holds other entries."""

    def entries(self) -> list[tuple[str, float]]:
        """Return every pattern and its end: all that there is to know of the mutes."""
        return list(self._until.items())

    def mute(self, pattern: str, until: float) -> None:
        """Hold back alerts of the groups that match; a pattern that is there already gets the new end.

        Raises
        ------
        ValueError : there are too many patterns.
        """
        if pattern not in self._until and len(self._until) >= _MAX_PATTERNS:
            raise ValueError(
                f"{_MAX_PATTERNS} patterns are muted already; expected fewer, or a wider pattern"
            )
        self._until[pattern] = until
        self._matchers = {**self._matchers, pattern: matcher(pattern)}
        self.dirty = True

    def unmute(self, pattern: str) -> bool:
        """Drop a pattern, spelled as it was given to `mute`; return whether it was there."""
        if self._until.pop(pattern, None) is None:
            return False
        self._matchers = {other: matches for other, matches in self._matchers.items() if other != pattern}
        self.dirty = True
        return True

    def expire(self, now: float) -> bool:
        """Drop the patterns whose end is at or before `now` (Unix seconds); return whether there were any."""
        expired = [pattern for pattern, until in self._until.items() if until <= now]
        for pattern in expired:
            self.unmute(pattern)
        return bool(expired)

    def is_muted(self, group: str) -> bool:
        """Say whether a group's alerts are held back; any thread may ask."""
        return any(matches(group) for matches in self._matchers.values())

    def mark_saved(self) -> None:
        """Note that the store holds these entries."""
        self.dirty = False
