"""Mutes: patterns of group names whose alerts are held back for a given time."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import translate

__all__ = ["Mutes", "StoredMute", "literal_prefix", "matcher"]

# Maximum number of patterns: each group with an alert is matched against all of them.
_MAX_PATTERNS = 100


StoredMute = tuple[str, float, float | None]
"""A pattern, the end of its mute by the wall clock in seconds since the Unix epoch, and the mute's length in
seconds; None if a version stored it that did not know the length."""


@dataclass(slots=True)
class _Mute:
    """The time of a mute."""

    until: float
    """Its end by the wall clock, seconds since the Unix epoch."""
    ends_at: float
    """Its end by the monotonic clock, seconds."""
    length: float | None
    """How long it was to last when it began, seconds; None: not known."""


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a function that tells whether a name matches `pattern`: `*` is any text, `?` one character."""
    match = re.compile(translate(pattern)).match
    return lambda name: name == pattern or match(name) is not None


def literal_prefix(pattern: str) -> str:
    """Return the text that the names of all groups that match `pattern` begin with."""
    return re.split(r"[*?\[]", pattern, maxsplit=1)[0]


class Mutes:
    """Patterns of group names, each with the end of the mute.

    A muted group is judged like other groups, and its state is published; only its alert events are held
    back. "Silent" means something else: a group that sends no readings.

    A mute ends by the monotonic clock, so it keeps its length when the wall clock is set. Its end by the wall
    clock is for people, and for the next process.

    Parameters
    ----------
    stored : the mutes that another process stored. None of them lasts longer than its length from now on:
        the clock may have been set back since it was stored.
    wall : seconds since the Unix epoch.
    now : monotonic seconds.
    """

    def __init__(self, stored: Iterable[StoredMute] = (), *, wall: float = 0.0, now: float = 0.0) -> None:
        self._mutes: dict[str, _Mute] = {}
        self.dirty = False
        """Whether there are changes that are not saved in the store."""
        for pattern, until, length in stored:
            remaining = until - wall
            if length is not None and remaining > length:
                remaining, self.dirty = length, True
            self._mutes[pattern] = _Mute(wall + remaining, now + remaining, length)
        # This dict is replaced and never modified, because another thread (the page) reads it.
        self._matchers = {pattern: matcher(pattern) for pattern in self._mutes}

    def entries(self) -> list[tuple[str, float]]:
        """Return (pattern, end of the mute in seconds since the Unix epoch) for all mutes."""
        return [(pattern, mute.until) for pattern, mute in self._mutes.items()]

    def stored_entries(self) -> list[StoredMute]:
        """Return all mutes as the constructor takes them."""
        return [(pattern, mute.until, mute.length) for pattern, mute in self._mutes.items()]

    def mute(self, pattern: str, seconds: float, *, wall: float, now: float) -> float:
        """Mute the groups that match a pattern; this replaces an earlier mute of the pattern.

        Parameters
        ----------
        seconds : length of the mute.
        wall : seconds since the Unix epoch.
        now : monotonic seconds.

        Returns
        -------
        The end of the mute, seconds since the Unix epoch.

        Raises
        ------
        ValueError : there are too many patterns.
        """
        if pattern not in self._mutes and len(self._mutes) >= _MAX_PATTERNS:
            raise ValueError(
                f"{_MAX_PATTERNS} patterns are muted already; expected fewer, or a wider pattern"
            )
        self._mutes[pattern] = _Mute(wall + seconds, now + seconds, seconds)
        self._matchers = {**self._matchers, pattern: matcher(pattern)}
        self.dirty = True
        return wall + seconds

    def unmute(self, pattern: str) -> bool:
        """Remove a pattern, in the spelling given to `mute`; return whether it existed."""
        if self._mutes.pop(pattern, None) is None:
            return False
        self._matchers = {other: matches for other, matches in self._matchers.items() if other != pattern}
        self.dirty = True
        return True

    def expire(self, now: float) -> bool:
        """Remove the patterns whose end is at or before `now` (monotonic seconds); return whether any was."""
        expired = [pattern for pattern, mute in self._mutes.items() if mute.ends_at <= now]
        for pattern in expired:
            self.unmute(pattern)
        return bool(expired)

    def follow_clock(self, wall: float, now: float) -> bool:
        """Give the end of each mute by a wall clock that was set; return whether there are mutes.

        Parameters
        ----------
        wall : seconds since the Unix epoch.
        now : monotonic seconds, read at the same time.
        """
        for mute in self._mutes.values():
            mute.until = wall + mute.ends_at - now
        self.dirty = self.dirty or bool(self._mutes)
        return bool(self._mutes)

    def is_muted(self, group: str) -> bool:
        """Return whether a group's alerts are held back. Any thread may call this."""
        return any(matches(group) for matches in self._matchers.values())

    def mark_saved(self) -> None:
        """Record that the entries are saved in the store."""
        self.dirty = False
