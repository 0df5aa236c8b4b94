"""How often the log may repeat itself."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["INTERVAL_S", "LogThrottle"]

INTERVAL_S = 60.0
"""A reason is said of a source once in this many seconds; what else comes is counted."""
# What differs from one case of the same reason to the next: numbers and quoted text.
_VARIABLE_TEXT = re.compile(r"'[^']*'|[-+.\d]+")
# Reasons told apart; a sender of ever new nonsense must not fill log and memory.
_MAX_REASONS = 100
_OTHER_KEY = "other"
# Sources that are named for one reason within `INTERVAL_S`: some stations that went wrong, and not all of a plant.
_MAX_SOURCES = 5


@dataclass(slots=True)
class _ReasonState:
    interval_start: float
    """When the minute began in which these sources were named, monotonic seconds."""
    logged_sources: set[str] = field(default_factory=set)
    suppressed_count: int = 0


class LogThrottle:
    """Lets each reason through once a minute for each of a few sources. Belongs to one thread.

    Parameters
    ----------
    monotonic : returns monotonic seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._reasons: dict[str, _ReasonState] = {}

    def throttle(self, kind: str, reason: str, source: str) -> str | None:
        """Return what to say of a reason, with how many more there were since it was said last, or None.

        Parameters
        ----------
        kind : tells reasons of equal words apart.
        reason : the text.
        source : where it comes from.
        """
        key = f"{kind} {_VARIABLE_TEXT.sub('', reason)}"
        now = self._monotonic()
        if key not in self._reasons and len(self._reasons) >= _MAX_REASONS:
            key = source = _OTHER_KEY
        state = self._reasons.setdefault(key, _ReasonState(now))
        if now - state.interval_start >= INTERVAL_S:
            state.interval_start = now
            state.logged_sources.clear()
        if source in state.logged_sources or len(state.logged_sources) >= _MAX_SOURCES:
            state.suppressed_count += 1
            return None
        suppressed, state.suppressed_count = state.suppressed_count, 0
        state.logged_sources.add(source)
        return f"{reason} (and {suppressed} more since the last such line)" if suppressed else reason
