"""The frozen records that flow between stages, with shapes and units.

Stages work on batches, so a record here holds the columns of a batch and not one reading.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray

__all__ = ["FAULTY", "NORMAL", "AlertEvent", "GroupStatus", "JudgedWindows", "State"]


FAULTY = "Faulty"
NORMAL = "Normal"


class State(StrEnum):
    """What can be said of a group right now."""

    FILLING = "filling"
    WARMING = "warming"
    NORMAL = "normal"
    FAULTY = "faulty"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class JudgedWindows:
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
    window_index: int = field(default=0, compare=False)
    """Which window of its batch caused the event."""

    @property
    def is_first(self) -> bool:
        """Whether it is its incident's first."""
        return self.status == "firing" and not self.repeat


@dataclass(frozen=True, slots=True)
class GroupStatus:
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
