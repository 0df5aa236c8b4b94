"""Watches whether messages come and nothing can be judged: unusable, too far apart, or a sensor missing."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from monitor.core.arrays import FloatArray
from monitor.core.readings import Outcome, Readings, RejectedReading
from monitor.core.values import RejectedValue, ValueOutcome, Values
from monitor.detect.missing_features import MissingFeatures
from monitor.detect.pace import COMPLETE_OUTCOMES, PARTIAL_OUTCOMES, Pace
from monitor.detect.unusable import UnusableReadings
from monitor.ingest.alignment import AlignedBatch

__all__ = ["InputWatch"]

_Rejected = TypeVar("_Rejected", RejectedReading, RejectedValue)

_INTERVAL_S = 1.0  # between two updates of `problems`
# A sample: if no group completes a window, all have the same problem.
_MAX_GROUPS = 100
_ORDER_OUTCOMES = frozenset({Outcome.DUPLICATE, Outcome.LATE, ValueOutcome.DUPLICATE, ValueOutcome.LATE})
_RETAINED_OUTCOMES = frozenset({Outcome.RETAINED, ValueOutcome.RETAINED})
# An absent value was read as its sender meant it.
_USABLE_OUTCOMES = frozenset({ValueOutcome.ACCEPTED, ValueOutcome.ABSENT})


class InputWatch:
    """Follows the outcomes of all batches. A batch with a complete window costs next to nothing.

    Parameters
    ----------
    steps : readings in a window.
    get_max_gap : returns `WindowRules.max_gap` in use, seconds.
    features : names of the features, in the bundle's order.
    get_feature_ages : returns `GroupStates.feature_ages` at this time.
    """

    def __init__(
        self,
        *,
        steps: int,
        get_max_gap: Callable[[], float],
        features: Sequence[str] = (),
        get_feature_ages: Callable[[], FloatArray] = lambda: np.empty((0, 0)),
    ) -> None:
        self._pace = Pace(steps, _MAX_GROUPS)
        self._unusable = UnusableReadings()
        self._unusable_values = UnusableReadings("values")
        self._missing = MissingFeatures(features, _MAX_GROUPS)
        self._get_max_gap = get_max_gap
        self._get_feature_ages = get_feature_ages
        self._next_update_at = float("-inf")
        self.problems: Mapping[str, str] = {}
        """Why nothing can be judged although readings come: kind -> text for users."""

    @property
    def problem(self) -> str:
        """All problems as one text, "" if there are none; any thread may read it."""
        return "; ".join(self.problems.values())

    def add_values(
        self,
        values: Values,
        aligned: AlignedBatch,
        counts: Counter[ValueOutcome],
        rejected: Sequence[RejectedValue],
        now: float,
    ) -> None:
        """Add the values of a batch; its readings are added afterwards by `add`.

        Parameters
        ----------
        aligned : what became of the values.
        counts : the outcomes of the batch, those of rejected messages included.
        rejected : the messages and values that were dropped, with the reasons.
        now : monotonic seconds.
        """
        if not counts.keys().isdisjoint(_USABLE_OUTCOMES):
            self._unusable_values.restart()
        elif rejected:
            self._unusable_values.add(_without_repeated(values, rejected), now)
        if aligned.readings.groups:
            self._missing.restart()
        else:
            self._missing.add(aligned.stale.groups, aligned.stale.is_stale, now)

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
            for part in (self._unusable, self._unusable_values, self._missing, self._pace):
                part.restart()
        elif not counts.keys().isdisjoint(PARTIAL_OUTCOMES):
            self._unusable.restart()
            self._pace.add(readings.groups, readings.ts, outcomes)
        elif rejected:
            self._unusable.add(_without_repeated(readings, rejected), now)
        if now >= self._next_update_at:
            self._next_update_at = now + _INTERVAL_S
            problems = {
                "unusable": self._unusable.describe_problem(now),
                "unusable values": self._unusable_values.describe_problem(now),
                "missing": self._describe_missing(),
                "pace": self._pace.describe_problem(self._get_max_gap()),
            }
            self.problems = {kind: text for kind, text in problems.items() if text}

    def _describe_missing(self) -> str:
        return self._missing.describe(self._get_feature_ages()) if self._missing.is_problem else ""


def _without_repeated(batch: Readings | Values, rejected: Sequence[_Rejected]) -> list[_Rejected]:
    """Remove what the broker kept or sends again, which is normal after a start or a new connection."""
    is_repeated = batch.redelivered  # (row,)
    if batch.retained is not None:
        is_repeated = is_repeated | batch.retained
    groups = {batch.groups[row] for row in np.flatnonzero(is_repeated).tolist()}
    return [
        item
        for item in rejected
        if item.outcome not in _RETAINED_OUTCOMES
        and not (item.outcome in _ORDER_OUTCOMES and item.source in groups)
    ]
