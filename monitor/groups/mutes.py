"""Mutes: patterns of group names whose alerts are held back until a given time."""

import re
from collections.abc import Callable, Iterable
from fnmatch import translate

__all__ = ["Mutes", "literal_prefix", "matcher"]

# Maximum number of patterns: each group with an alert is matched against all of them.
_MAX_PATTERNS = 100


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a function that tells whether a name matches `pattern`: `*` is any text, `?` one character."""
    match = re.compile(translate(pattern)).match
    return lambda name: name == pattern or match(name) is not None


def literal_prefix(pattern: str) -> str:
    """Return the text that the names of all groups that match `pattern` begin with."""
    return re.split(r"[*?\[]", pattern, maxsplit=1)[0]


class Mutes:
    """Patterns of group names, each with the end of the mute: wall clock, seconds since the Unix epoch.

    A muted group is judged like other groups, and its state is published; only its alert events are held
    back. "Silent" means something else: a group that sends no readings.

    Parameters
    ----------
    stored : patterns and their ends, as returned by `entries` in this or another process.
    """

    def __init__(self, stored: Iterable[tuple[str, float]] = ()) -> None:
        self._until = dict(stored)
        # This dict is replaced and never modified, because another thread (the page) reads it.
        self._matchers = {pattern: matcher(pattern) for pattern in self._until}
        self.dirty = False
        """Whether there are changes that are not saved in the store."""

    def entries(self) -> list[tuple[str, float]]:
        """Return (pattern, end of the mute) for all mutes."""
        return list(self._until.items())

    def mute(self, pattern: str, until: float) -> None:
        """Mute the groups that match a pattern until `until`, which replaces an earlier end of the pattern.

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
        """Remove a pattern, in the spelling given to `mute`; return whether it existed."""
        if self._until.pop(pattern, None) is None:
            return False
        self._matchers = {other: matches for other, matches in self._matchers.items() if other != pattern}
        self.dirty = True
        return True

    def expire(self, now: float) -> bool:
        """Remove the patterns whose end is at or before `now` (Unix seconds); return whether any was."""
        expired = [pattern for pattern, until in self._until.items() if until <= now]
        for pattern in expired:
            self.unmute(pattern)
        return bool(expired)

    def is_muted(self, group: str) -> bool:
        """Return whether a group's alerts are held back. Any thread may call this."""
        return any(matches(group) for matches in self._matchers.values())

    def mark_saved(self) -> None:
        """Record that the entries are saved in the store."""
        self.dirty = False
