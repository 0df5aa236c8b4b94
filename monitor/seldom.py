"""How often the log may repeat itself."""

import re
import time
from collections import Counter
from collections.abc import Callable

__all__ = ["EVERY", "Seldom"]

EVERY = 60.0
"""A reason is said once in this many seconds; what came in between is counted."""
# What differs from one case of the same reason to the next: numbers and quoted text.
_DETAIL = re.compile(r"'[^']*'|[-+.\d]+")
# Reasons told apart; a sender of ever new nonsense must not fill log and memory.
_MOST_REASONS = 100
_OTHER = "other"


class Seldom:
    """Lets each reason through once a minute. Belongs to one thread.

    Parameters
    ----------
    monotonic : returns monotonic seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._said_at: dict[str, float] = {}
        self._unsaid = Counter[str]()

    def pass_on(self, kind: str, reason: str) -> str | None:
        """Return what to say of a reason, with how many more there were since it was said last, or None.

        Parameters
        ----------
        kind : tells reasons of equal words apart.
        reason : the text.
        """
        told = f"{kind} {_DETAIL.sub('', reason)}"
        now = self._monotonic()
        if told not in self._said_at and len(self._said_at) >= _MOST_REASONS:
            told = _OTHER
        self._unsaid[told] += 1
        if now - self._said_at.get(told, float("-inf")) < EVERY:
            return None
        others = self._unsaid.pop(told) - 1
        self._said_at[told] = now
        return f"{reason} (and {others} more since the last such line)" if others else reason
