"""Watches whether readings come and nothing can be judged: unusable ones, or too far apart."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from monitor.core.readings import Outcome, Readings, RejectedReading
from monitor.detect.pace import COMPLETE_OUTCOMES, PARTIAL_OUTCOMES, Pace
from monitor.detect.unusable import UnusableReadings

__all__ = ["InputWatch"]

_INTERVAL_S = 1.0  # between two updates of `problems`
# A sample: if no group completes a window, all have the same problem.
_MAX_GROUPS = 100
_ORDER_OUTCOMES = frozenset({Outcome.DUPLICATE, Outcome.LATE})


class InputWatch:
    """Follows the outcomes of all batches. A batch with a complete window costs next to nothing.

    Parameters
    ----------
    steps : readings in a window.
    get_max_gap : returns `WindowRules.max_gap` in use, seconds.
    """

    def __init__(self, *, steps: int, get_max_gap: Callable[[], float]) -> None:
        self._pace = Pace(steps, _MAX_GROUPS)
        self._unusable = UnusableReadings()
        self._get_max_gap = get_max_gap
        self._next_update_at = float("-inf")
        self.problems: Mapping[str, str] = {}
        """Why nothing can be judged although readings come: kind ("unusable" or "pace") -> text for users."""

    @property
    def problem(self) -> str:
        """All problems as one text, "" if there are none; any thread may read it."""
        return "; ".join(self.problems.values())

    def add(
        self,
        readings: Readings,
        outcomes: Sequence[Outcome],
        counts: Counter[Outcome],
        rejected: Sequence[RejectedReading],
        now: float,
    ) -> None:
        """Add a batch.

        Parameters
        ----------
        outcomes : outcome of each reading (reading,).
        counts : the outcomes of the batch, those of rejected messages included.
        rejected : the messages and readings that were dropped, with the reasons.
        now : monotonic seconds.
        """
        if not counts.keys().isdisjoint(COMPLETE_OUTCOMES):
            self._unusable.restart()
            self._pace.restart()
        elif not counts.keys().isdisjoint(PARTIAL_OUTCOMES):
            self._unusable.restart()
            self._pace.add(readings.groups, readings.ts, outcomes)
        elif rejected:
            self._unusable.add(_without_repeated(readings, rejected), now)
        if now >= self._next_update_at:
            self._next_update_at = now + _INTERVAL_S
            problems = {
                "unusable": self._unusable.describe_problem(now),
                "pace": self._pace.describe_problem(self._get_max_gap()),
            }
            self.problems = {kind: text for kind, text in problems.items() if text}


def _without_repeated(readings: Readings, rejected: Sequence[RejectedReading]) -> list[RejectedReading]:
    """Remove what the broker kept or sends again, which is normal after a start or a new connection."""
    is_repeated = readings.redelivered  # (reading,)
    if readings.retained is not None:
        is_repeated = is_repeated | readings.retained
    groups = {readings.groups[row] for row in np.flatnonzero(is_repeated).tolist()}
    return [
        reading
        for reading in rejected
        if reading.outcome is not Outcome.RETAINED
        and not (reading.outcome in _ORDER_OUTCOMES and reading.source in groups)
    ]
