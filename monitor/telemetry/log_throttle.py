"""How often the log may repeat itself."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["EVERY", "Seldom"]

EVERY = 60.0
"""A reason is said of a source once in this many seconds; what else comes is counted."""
# What differs from one case of the same reason to the next: numbers and quoted text.
_DETAIL = re.compile(r"'[^']*'|[-+.\d]+")
# Reasons told apart; a sender of ever new nonsense must not fill log and memory.
_MOST_REASONS = 100
_OTHER = "other"
# Sources that are named for one reason within `EVERY`: some stations that went wrong, and not all of a plant.
_MOST_SOURCES = 5


@dataclass(slots=True)
class _Reason:
    since: float
    """When the minute began in which these sources were named, monotonic seconds."""
    named: set[str] = field(default_factory=set)
    unsaid: int = 0


class Seldom:
    """Lets each reason through once a minute for each of a few sources. Belongs to one thread.

    Parameters
    ----------
    monotonic : returns monotonic seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._reasons: dict[str, _Reason] = {}

    def pass_on(self, kind: str, reason: str, source: str) -> str | None:
        """Return what to say of a reason, with how many more there were since it was said last, or None.

        Parameters
        ----------
        kind : tells reasons of equal words apart.
        reason : the text.
        source : where it comes from.
        """
        told = f"{kind} {_DETAIL.sub('', reason)}"
        now = self._monotonic()
        if told not in self._reasons and len(self._reasons) >= _MOST_REASONS:
            told = source = _OTHER
        state = self._reasons.setdefault(told, _Reason(now))
        if now - state.since >= EVERY:
            state.since = now
            state.named.clear()
        if source in state.named or len(state.named) >= _MOST_SOURCES:
            state.unsaid += 1
            return None
        others, state.unsaid = state.unsaid, 0
        state.named.add(source)
        return f"{reason} (and {others} more since the last such line)" if others else reason
