"""Which groups' alerts are held back, and until when. The time is an argument."""

import re
from collections.abc import Callable, Iterable
from fnmatch import translate

__all__ = ["Mutes", "matcher"]

# Each group with an alert is held against all of them.
_MOST = 100


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what says whether a group's name is `pattern` or fits it: `*` any text, `?` one character."""
    fits = re.compile(translate(pattern)).match
    return lambda name: name == pattern or fits(name) is not None


class Mutes:
    """Patterns of groups, each until some time: Unix seconds of the wall clock.

    A muted group is judged as any other, and its state is published; only its alert events wait. A group that
    doesn't speak is another thing: that one is `silent`.

    Parameters
    ----------
    stored : what an earlier process left: pattern and end.
    """

    def __init__(self, stored: Iterable[tuple[str, float]] = ()) -> None:
        self._ends = dict(stored)
        # Never changed but replaced, for the page asks from another thread.
        self._fits = {pattern: matcher(pattern) for pattern in self._ends}
        self.unsaved = False
        """Whether the store holds others."""

    def lines(self) -> list[tuple[str, float]]:
        """Return every pattern and its end."""
        return list(self._ends.items())

    def mute(self, pattern: str, until: float) -> None:
        """Hold back alerts of the groups that fit; a pattern that is there already gets the new end.

        Raises
        ------
        ValueError : there are too many.
        """
        if pattern not in self._ends and len(self._ends) >= _MOST:
            raise ValueError(f"{_MOST} patterns are muted already; expected fewer, or a wider pattern")
        self._ends[pattern] = until
        self._fits = {**self._fits, pattern: matcher(pattern)}
        self.unsaved = True

    def unmute(self, pattern: str) -> bool:
        """Drop a pattern, as it was given; return whether it was there."""
        if self._ends.pop(pattern, None) is None:
            return False
        self._fits = {kept: fits for kept, fits in self._fits.items() if kept != pattern}
        self.unsaved = True
        return True

    def expire(self, now: float) -> bool:
        """Drop the patterns whose end has come; return whether there were any."""
        over = [pattern for pattern, until in self._ends.items() if until <= now]
        for pattern in over:
            self.unmute(pattern)
        return bool(over)

    def muted(self, group: str) -> bool:
        """Say whether a group's alerts are held back; any thread may ask."""
        return any(fits(group) for fits in self._fits.values())

    def saved(self) -> None:
        """Note that the store holds all of it."""
        self.unsaved = False
