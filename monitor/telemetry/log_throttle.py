"""Limits how often the log repeats a message."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from monitor.core.reasons import strip_variable_text

__all__ = ["INTERVAL_S", "LogThrottle"]

INTERVAL_S = 60.0
"""Seconds in which a reason is logged once for a source; repetitions are counted."""
# Reasons that are distinguished: a sender of ever new malformed messages must not fill log and memory.
_MAX_REASONS = 100
_OTHER_KEY = "other"
# Sources that are logged for one reason within `INTERVAL_S`: a few failing stations, not a whole plant.
_MAX_SOURCES = 5


@dataclass(slots=True)
class _ReasonState:
    interval_start: float
    """Begin of the interval in which these sources were logged, monotonic seconds."""
    logged_sources: set[str] = field(default_factory=set)
    suppressed_count: int = 0


class LogThrottle:
    """Lets each reason through once a minute for each of a few sources. Not thread-safe.

    Parameters
    ----------
    monotonic : returns monotonic seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._reasons: dict[str, _ReasonState] = {}

    def throttle(self, kind: str, reason: str, source: str, count: int = 1) -> str | None:
        """Return the text to log, with the number of suppressed repetitions; None to log nothing.

        Parameters
        ----------
        kind : distinguishes reasons with the same text.
        reason : the text.
        source : where the reason comes from, for example a topic.
        count : how often it has occurred.
        """
        key = f"{kind} {strip_variable_text(reason)}"
        now = self._monotonic()
        if key not in self._reasons and len(self._reasons) >= _MAX_REASONS:
            key = source = _OTHER_KEY
        state = self._reasons.setdefault(key, _ReasonState(now))
        if now - state.interval_start >= INTERVAL_S:
            state.interval_start = now
            state.logged_sources.clear()
        if source in state.logged_sources or len(state.logged_sources) >= _MAX_SOURCES:
            state.suppressed_count += count
            return None
        suppressed, state.suppressed_count = state.suppressed_count, count - 1
        state.logged_sources.add(source)
        return f"{reason} (and {suppressed} more since the last such line)" if suppressed else reason
