"""Results of detection: judged windows, alert events, and the status of a group.

Stages work on batches, so `JudgedWindows` holds the columns of a batch and not a single window.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = ["FAULTY", "NORMAL", "AlertEvent", "Detector", "GroupStatus", "JudgedWindows", "State"]


FAULTY = "Faulty"
NORMAL = "Normal"


class State(StrEnum):
    """The present state of a group."""

    FILLING = "filling"  # the window is not complete
    WARMING = "warming"  # the baseline is not learnt yet
    NORMAL = "normal"  # the last judged window is Normal
    FAULTY = "faulty"  # the last judged window is Faulty
    SILENT = "silent"  # no accepted reading for `stale_after` seconds


class Detector(IntEnum):
    """What calls a window Faulty. Of several it is the first of `limits`, `flat`, `drift`, `model`."""

    NONE = 0  # nothing does: the window is Normal
    MODEL = 1
    LIMITS = 2  # a value that its sensor can't have
    FLAT = 3  # a sensor stands still
    DRIFT = 4  # a sensor leaves its neighbours over days

    @property
    def label(self) -> str:
        """The name in events, states, metrics and settings; "" for `NONE`."""
        return self.name.lower() if self else ""


@dataclass(frozen=True, slots=True)
class JudgedWindows:
    """The windows of a batch with their scores and predictions."""

    groups: Sequence[str]
    """The group of each window: (window,)."""
    ts: FloatArray
    """Event times, oldest first: (window, step)."""
    values: FloatArray
    """Raw values: (window, step, feature)."""
    scores: FloatArray
    """P(Faulty) as the model says: (window,). NaN where it can't say, because the group's baseline isn't
    learnt yet, and a check found a fault."""
    faulty: NDArray[np.bool_]
    """Whether the score is above the threshold, or a check found a fault: (window,)."""
    out_of_range: NDArray[np.bool_]
    """Whether some value is far outside the range of the training data: (window,)."""
    detectors: NDArray[np.uint8]
    """What calls each window Faulty, as a code of `Detector`: (window,)."""


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """The beginning, the repetition or the end of an incident, as published on `alerts/<group>`."""

    id: str
    """`<group>:<started_at in ms>`: the same for all events of one incident."""
    status: str
    """"firing" or "resolved"."""
    group: str
    score: float | None
    """Score of the window that caused the event; None if the model gave none."""
    started_at: float
    """Event time of the first Faulty window, seconds since the Unix epoch."""
    ended_at: float | None
    """Event time of the first of the Normal windows that ended the incident; None while it is open."""
    window_ts: Sequence[float]
    """Event times of the window that caused the event: (step,)."""
    window_values: Sequence[Sequence[float]]
    """Raw values of the window that caused the event: (step, feature)."""
    out_of_range: bool
    """Whether the window that caused the event has a value far outside the range of the training data."""
    repeat: int = 0
    """Number of firing events that the incident had before this one: 0 for its first event."""
    contributions: Sequence[float] | None = None
    """In an incident's first event, the share of each feature in the score, see `Contributions`:
    (feature,)."""
    contributions_by_step: Sequence[Sequence[float]] | None = None
    """In an incident's first event, the share of each single value in the score: (step, feature)."""
    reason: str = ""
    """In an incident's first event, why the incident began, see `explain`; "" in all other events."""
    detector: str = Detector.MODEL.label
    """What called the incident's windows Faulty: the model, or a check once one has found something; see
    `Detector.label`."""
    kind: str | None = None
    """What kind of fault it is as far as can be told now, one of `detect.fault_kind.FAULT_KINDS`; None if it
    can't."""
    window_index: int = field(default=-1, compare=False)
    """Index in the batch of the window that caused the event; -1 if no window of the batch did."""

    @property
    def is_first(self) -> bool:
        """Whether this is the first event of its incident."""
        return self.status == "firing" and not self.repeat


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """The status of one group, as published on `state/<group>`."""

    group: str
    state: State
    since: float
    """Event time of the reading that changed the group's state, seconds since the Unix epoch; for a silent
    group, the event time of its last reading."""
    score: float | None
    """Score of the last judged window; None if no window was judged yet."""
    out_of_range: bool
    """Whether the last judged window has a value far outside the range of the training data."""
    incident: str | None
    """Id of the open incident; None if there is none."""
    stale: Sequence[tuple[int, float]] = ()
    """(index of a feature without usable value, since when) for each such feature; times are event times,
    seconds since the Unix epoch."""
    detector: str = ""
    """What called the last judged window Faulty, see `Detector.label`; "" if it is Normal, or none was
    judged."""
    kind: str | None = None
    """Kind of fault of the open incident; None if it can't be told or there is none."""
    shows_from: Sequence[float] | None = None
    """Smallest offset of each feature that would be called Faulty now, in the feature's unit; infinite where
    none would be: (feature,). None if the group has no baseline."""
