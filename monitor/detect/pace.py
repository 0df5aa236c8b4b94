"""Finds groups that complete no window because their readings come too far apart."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from monitor.core.arrays import FloatArray
from monitor.core.printable import printable
from monitor.core.readings import Outcome

__all__ = ["COMPLETE_OUTCOMES", "PARTIAL_OUTCOMES", "Pace"]

COMPLETE_OUTCOMES = frozenset({Outcome.JUDGED, Outcome.SKIPPED, Outcome.WARMING})
"""Outcomes of readings that completed a window."""
PARTIAL_OUTCOMES = frozenset({Outcome.FILLING, Outcome.GAP})
"""Outcomes of readings that began or continued a window."""

# Newest intervals of a group whose median is its pace.
_MAX_INTERVALS = 100
_MAX_NAMES = 3  # groups that are named in a description
_SIGNIFICANT_DIGITS = 3
# The gap that is proposed: as many intervals as of a bundle's sample period by default.
_PERIODS_PER_GAP = 3


@dataclass(slots=True)
class _GroupPace:
    """A group that has completed no window."""

    last_ts: float | None = None
    """Event time of the last reading that began or continued a window, seconds."""
    intervals: deque[float] = field(default_factory=lambda: deque(maxlen=_MAX_INTERVALS))
    """Seconds of event time between such readings."""
    outcomes: Counter[Outcome] = field(default_factory=Counter)

    def add(self, ts: float, outcome: Outcome) -> None:
        self.outcomes[outcome] += 1
        if outcome not in PARTIAL_OUTCOMES:
            return
        if self.last_ts is not None:
            if ts > self.last_ts:
                self.intervals.append(ts - self.last_ts)
            else:  # after a silence the sender's clock may have been set back
                self.intervals.clear()
        self.last_ts = ts

    def gaps(self, max_gap: float) -> list[float]:
        """Return the intervals that restart a window."""
        return [interval for interval in self.intervals if interval > max_gap]


class Pace:
    """Follows the intervals between the readings of each group until the group completes a window.

    Parameters
    ----------
    steps : readings in a window.
    max_groups : groups that are followed; None: all.
    """

    def __init__(self, steps: int, max_groups: int | None = None) -> None:
        self._min_gaps = max(1, steps - 1)  # as many as there are intervals in a window
        self._max_groups = max_groups
        self._groups: dict[str, _GroupPace | None] = {}  # None: the group has completed a window

    def add(self, groups: Sequence[str], ts: FloatArray, outcomes: Sequence[Outcome]) -> None:
        """Add readings in the order of arrival.

        Parameters
        ----------
        groups, ts, outcomes : group, event time in seconds, and outcome of each reading (reading,).
        """
        for group, reading_ts, outcome in zip(groups, ts.tolist(), outcomes, strict=True):
            if outcome in COMPLETE_OUTCOMES:
                self._groups[group] = None
                continue
            if group not in self._groups:
                if len(self._groups) == self._max_groups:
                    continue
                self._groups[group] = _GroupPace()
            pace = self._groups[group]
            if pace is not None:
                pace.add(reading_ts, outcome)

    def restart(self) -> None:
        """Forget all readings, for example because a window was completed."""
        self._groups.clear()

    def describe_problem(self, max_gap: float) -> str:
        """Return why groups complete no window; "" if no group's readings come too far apart.

        Parameters
        ----------
        max_gap : seconds of event time between two readings beyond which a window restarts.
        """
        slow = {
            name: pace
            for name, pace in self._groups.items()
            if pace is not None and len(pace.gaps(max_gap)) >= self._min_gaps
        }
        if not slow:
            return ""
        counts = sum((pace.outcomes for pace in slow.values()), Counter[Outcome]())
        interval = median(interval for pace in slow.values() for interval in pace.gaps(max_gap))
        prefix = "" if len(slow) == len(self._groups) else f"{self._describe_groups(list(slow))}: "
        return (
            f"{prefix}0 of {counts.total():,} judged: {_describe_outcomes(counts, len(slow))}; "
            f"readings come every {_format_seconds(interval)} s, max_gap is {max_gap:g}; "
            f"expected windows.max_gap = {_format_seconds(_PERIODS_PER_GAP * interval)}, three intervals, "
            "or a bundle fitted on readings at this pace"
        )

    def _describe_groups(self, names: Sequence[str]) -> str:
        shown = ", ".join(printable(name) for name in names[:_MAX_NAMES])
        more = ", ..." if len(names) > _MAX_NAMES else ""
        return f"{len(names):,} of {len(self._groups):,} groups ({shown}{more})"


def _describe_outcomes(counts: Counter[Outcome], group_count: int) -> str:
    """Return the outcomes as text; "all gap" although the first reading of each group is `filling`."""
    if counts[Outcome.GAP] and counts.total() - counts[Outcome.GAP] <= group_count:
        return "all gap"
    if len(counts) == 1:
        return f"all {next(iter(counts))}"
    return ", ".join(f"{outcome} {count:,}" for outcome, count in counts.most_common())


def _format_seconds(seconds: float) -> str:
    return f"{float(f'{seconds:.{_SIGNIFICANT_DIGITS}g}'):g}"
