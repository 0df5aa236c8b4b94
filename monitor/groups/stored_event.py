"""An alert event as the store has it."""

import msgspec

from monitor.core.numbers import Count
from monitor.core.times import is_storable_ts
from monitor.core.verdicts import AlertEvent, Detector
from monitor.detect.fault_kind import FAULT_KINDS

__all__ = ["StoredEvent", "to_alert_event"]

_STATUSES = {"firing", "resolved"}
_DETECTORS = {detector.label for detector in Detector}
_KINDS = {None, *FAULT_KINDS}

_StepValues = list[list[float]]


class StoredEvent(msgspec.Struct, array_like=True, gc=False):
    """The fields of `AlertEvent`, without names to save space: there may be an event of each group.

    New fields must be appended, with a default: then the events of older versions can be read.
    """

    id: str
    status: str
    group: str
    score: float | None
    started_at: float
    ended_at: float | None
    window_ts: list[float]
    window_values: _StepValues
    out_of_range: bool
    repeat: Count
    contributions: list[float] | None
    contributions_by_step: _StepValues | None
    reason: str
    detector: str = Detector.MODEL.label
    kind: str | None = None

    def find_problem(self, group: str) -> str:
        """Return what no monitor can have stored of a group; "" if there is nothing."""
        if self.group != group:
            return f"is of {self.group[:100]!r}"
        if not all(map(is_storable_ts, (self.started_at, self.ended_at, *self.window_ts))):
            return f"began at {self.started_at}, ended at {self.ended_at}, with {self.window_ts[:3]}"
        if self.status not in _STATUSES or self.detector not in _DETECTORS or self.kind not in _KINDS:
            return (
                f"has the status {self.status!r:.20}, detector {self.detector!r:.20}, kind {self.kind!r:.20}"
            )
        return "" if self._has_shape() else "has a window of several shapes"

    def _has_shape(self) -> bool:
        """Return whether all lists are of the same numbers of steps and features."""
        by_step = self.window_values if self.contributions_by_step is None else self.contributions_by_step
        if not len(self.window_ts) == len(self.window_values) == len(by_step):
            return False
        lists = [*self.window_values, *by_step]
        if self.contributions is not None:
            lists.append(self.contributions)
        return len({len(values) for values in lists}) <= 1


def to_alert_event(stored: StoredEvent) -> AlertEvent:
    """Return the event."""
    return AlertEvent(**msgspec.structs.asdict(stored))
