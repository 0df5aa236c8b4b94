"""Mutes: patterns of group names whose alerts are held back for a given time."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from monitor.core.patterns import PatternSet, check_pattern, is_pattern

__all__ = ["Mutes", "StoredMute"]

# Maximum number of patterns: each group with an alert is matched against all of them.
_MAX_PATTERNS = 100
# Maximum number of characters in all patterns with wildcards together. With so many a group's name of 1,000
# characters takes 0.7 ms, and one of 20 characters 0.02 ms.
_MAX_WILDCARD_CHARACTERS = 8192
# Maximum number of groups of which it is known whether they are muted, without matching them again: 2 MB.
_MAX_KNOWN_GROUPS = 20_000


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


class _MutedGroups:
    """Tells whether a group is muted, and remembers the answer."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = PatternSet(patterns)
        self._known: dict[str, bool] = {}

    def __contains__(self, group: str) -> bool:
        is_muted = self._known.get(group)
        if is_muted is None:
            if len(self._known) >= _MAX_KNOWN_GROUPS:
                self._known = {}
            is_muted = self._known[group] = self._patterns.matches(group)
        return is_muted


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
    longest : seconds that a mute may last; stored mutes end by then, too.
    """

    def __init__(
        self,
        stored: Iterable[StoredMute] = (),
        *,
        wall: float = 0.0,
        now: float = 0.0,
        longest: float = math.inf,
    ) -> None:
        self.longest = longest
        """Seconds that a mute may last."""
        self._mutes: dict[str, _Mute] = {}
        self.dirty = False
        """Whether there are changes that are not saved in the store."""
        for pattern, until, length in stored:
            remaining = min(until - wall, longest if length is None else min(length, longest))
            self.dirty = self.dirty or remaining < until - wall
            self._mutes[pattern] = _Mute(wall + remaining, now + remaining, length)
        self.revision = 0
        """Number of changes of the patterns."""
        # With the revision that it is of. Made when it is first needed, so that many requests at once take
        # the time of one. It is replaced and never modified, because another thread (the page) reads it.
        self._muted_groups = (-1, _MutedGroups(()))

    @property
    def count(self) -> int:
        """Number of patterns."""
        return len(self._mutes)

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
        ValueError : the mute is too long, or the pattern is, or there are too many patterns.
        """
        if seconds > self.longest:
            raise ValueError(
                f"a mute of {seconds / 60:g} minutes is too long; operators.longest_mute allows "
                f"{self.longest / 60:g}"
            )
        if pattern not in self._mutes:
            self._check_room(pattern)
        self._mutes[pattern] = _Mute(wall + seconds, now + seconds, seconds)
        self._on_patterns_changed()
        return wall + seconds

    def unmute(self, pattern: str) -> bool:
        """Remove a pattern, in the spelling given to `mute`; return whether it existed."""
        if self._mutes.pop(pattern, None) is None:
            return False
        self._on_patterns_changed()
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
        revision, muted_groups = self._muted_groups
        if revision != self.revision:
            # The revision first: a change on another thread meanwhile makes this outdated, not wrong.
            revision = self.revision
            muted_groups = _MutedGroups(list(self._mutes))
            self._muted_groups = revision, muted_groups
        return group in muted_groups

    def mark_saved(self) -> None:
        """Record that the entries are saved in the store."""
        self.dirty = False

    def _check_room(self, pattern: str) -> None:
        """Raise a ValueError if a further pattern is too long, or one too many."""
        check_pattern(pattern)
        if len(self._mutes) >= _MAX_PATTERNS:
            raise ValueError(
                f"{_MAX_PATTERNS} patterns are muted already; expected fewer, or a wider pattern"
            )
        characters = sum(len(text) for text in [*self._mutes, pattern] if is_pattern(text))
        if is_pattern(pattern) and characters > _MAX_WILDCARD_CHARACTERS:
            raise ValueError(
                f"the muted patterns with wildcards would have {characters} characters together; expected at "
                f"most {_MAX_WILDCARD_CHARACTERS}, so shorter or fewer patterns"
            )

    def _on_patterns_changed(self) -> None:
        self.revision += 1
        self.dirty = True
