"""The frozen records that flow between stages, with shapes and units.

Stages work on batches, so a record here holds the columns of a batch and not one reading.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FAULTY",
    "NORMAL",
    "AlertEvent",
    "Arrivals",
    "FloatArray",
    "GroupState",
    "Judgements",
    "Outcome",
    "Readings",
    "Refusal",
    "State",
    "Windows",
]

FloatArray = NDArray[np.float64]

FAULTY = "Faulty"
NORMAL = "Normal"


class State(StrEnum):
    """What can be said of a group right now."""

    FILLING = "filling"
    WARMING = "warming"
    NORMAL = "normal"
    FAULTY = "faulty"
    SILENT = "silent"


class Outcome(StrEnum):
    """What became of a reading. Each reading is counted under exactly one."""

    JUDGED = "judged"
    FILLING = "filling"
    WARMING = "warming"
    SKIPPED = "skipped"
    MALFORMED = "malformed"
    UNMATCHED = "unmatched"
    DUPLICATE = "duplicate"
    LATE = "late"
    GAP = "gap"
    FUTURE = "future"
    OVERFLOW = "overflow"


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When the messages of a batch arrived, in columns: all that came at once have much the same."""

    arrived_at: FloatArray
    """Wall clock, seconds since the Unix epoch: (message,)."""
    stamps: FloatArray
    """The same, but strictly increasing from message to message, also where the clock is set back: it
    stands in for an event time."""
    received: FloatArray
    """Monotonic clock, seconds: latency is measured from here."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reading that was dropped, or that began its window afresh."""

    outcome: Outcome
    source: str
    """Its topic, or its group once that is known."""
    reason: str
    """What was wrong, for the log."""


@dataclass(frozen=True, slots=True)
class Readings:
    """A batch of readings in the order in which they arrived."""

    groups: Sequence[str]
    """The group of each reading."""
    ts: FloatArray
    """Event times, seconds since the Unix epoch, UTC: (reading,)."""
    values: FloatArray
    """The features in the bundle's order and units: (reading, feature)."""
    arrived_at: FloatArray
    """When each arrived by the wall clock, seconds since the Unix epoch: (reading,). Infinite where
    there is no clock, as in a recording."""
    received: FloatArray
    """When each arrived by the monotonic clock, seconds: (reading,)."""
    redelivered: NDArray[np.bool_]
    """Whether the broker may have sent it before: (reading,)."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows that a batch of readings completed, and what became of each reading."""

    outcomes: list[Outcome]
    """One for each reading of the batch; `judged` where it completed a window."""
    rows: NDArray[np.intp]
    """The reading (its index in the batch) that completed each window: (window,)."""
    ts: FloatArray
    """Event times, oldest first: (window, step)."""
    values: FloatArray
    """(window, step, feature)."""


@dataclass(frozen=True, slots=True)
class Judgements:
    """The windows of a batch with what the model says of them."""

    groups: Sequence[str]
    """(window,)"""
    ts: FloatArray
    """Event times, oldest first: (window, step)."""
    values: FloatArray
    """(window, step, feature)."""
    scores: FloatArray
    """P(Faulty): (window,)."""
    faulty: NDArray[np.bool_]
    """Score above the threshold: (window,)."""
    out_of_range: NDArray[np.bool_]
    """Some value far outside what training saw: (window,)."""


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """An incident begins, goes on or ends."""

    id: str
    """`<group>:<started_at in ms>`: the same for all events of one incident."""
    status: str
    """"firing" or "resolved"."""
    group: str
    score: float
    """Of the window that caused the event."""
    started_at: float
    """Event time of the first Faulty window, seconds since the Unix epoch."""
    ended_at: float | None
    """Event time of the first of the Normal windows that ended it; None while it fires."""
    window_ts: Sequence[float]
    """Event times of the window that caused the event: (step,)."""
    window_values: Sequence[Sequence[float]]
    """(step, feature)"""
    out_of_range: bool
    repeat: int = 0
    """How often the incident was said before: 0 where it begins."""
    contributions: Sequence[float] | None = None
    """Each feature's share in the score, where the incident begins, see `Contributions`: (feature,)."""
    contributions_by_step: Sequence[Sequence[float]] | None = None
    """(step, feature)"""
    reason: str = ""
    """The same in words; "" where the incident doesn't begin."""
    row: int = field(default=0, compare=False)
    """Which window of its batch caused the event."""

    @property
    def begins(self) -> bool:
        """Whether it is its incident's first."""
        return self.status == "firing" and not self.repeat


@dataclass(frozen=True, slots=True)
class GroupState:
    """What is known of one group, as `state/<group>` says it."""

    group: str
    state: State
    since: float
    """Event time of the reading that brought it into this state, seconds since the Unix epoch; of the
    last reading where it is silent."""
    score: float | None
    """Of the newest judged window."""
    out_of_range: bool
    incident: str | None
    """Id of the incident that is open."""
