"""Turns messages into the rows of a recording: one reading, or one value, per row."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from monitor.core.arrays import FloatArray
from monitor.core.messages import MessageBatch
from monitor.core.readings import Outcome, Readings, RejectedReading, concatenate
from monitor.core.rules import WindowRules
from monitor.core.times import describe_lead
from monitor.core.values import RejectedValue
from monitor.detect.windows import WindowStage
from monitor.ingest.alignment import AlignmentStage
from monitor.ingest.decoded_messages import Decoder
from monitor.recordings.values import VALUE_COLUMNS
from monitor.service.rejections import rejected_values, stale_readings

__all__ = ["ReadingRows", "RecordedBatch", "RowConverter", "ValueRows"]

_DROP_REASONS = {
    Outcome.DUPLICATE: "its ts is that of the reading before",
    Outcome.LATE: "its ts is before that of the reading before",
    Outcome.FUTURE: "its ts is ahead of this machine's clock by {lead}",
}


@dataclass(frozen=True, slots=True)
class RecordedBatch:
    """The rows of a batch of messages, and what is not written."""

    rows: list[list[object]]
    """The cells of each row."""
    groups: list[str]
    """The group of each row: (row,)."""
    ts: FloatArray
    """The event time of each row, seconds since the Unix epoch: (row,)."""
    rejected: list[RejectedReading]
    """Readings that are not written."""
    rejected_values: list[RejectedValue] = field(default_factory=list)
    """Values that are not written, or that came too late for their sampling time."""
    stale_count: int = 0
    """Number of sampling times without a reading, because a feature was absent or too old."""
    stale: list[RejectedReading] = field(default_factory=list)
    """Some of these, with the reason."""


class RowConverter(Protocol):
    """Turns batches of messages into rows."""

    @property
    def header(self) -> Sequence[str]:
        """Names of the columns."""

    @property
    def noun(self) -> str:
        """What a row is: "reading" or "value"."""

    def convert(self, batch: MessageBatch) -> RecordedBatch:
        """Return the rows of a batch; it may be empty, for time has passed."""

    @property
    def undecided_count(self) -> int:
        """Number of sampling times that have values, and whose reading is not decided yet."""


class ReadingRows:
    """Rows with the readings that a monitor with the same settings accepts.

    Parameters
    ----------
    decoder : decodes the messages.
    alignment : makes readings of values; None if all messages are readings.
    features : names of the features, in the bundle's order.
    max_skew : seconds by which a reading's event time may lie ahead of its arrival.
    """

    noun = "reading"

    def __init__(
        self, decoder: Decoder, alignment: AlignmentStage | None, features: Sequence[str], max_skew: float
    ) -> None:
        self.header = ["ts", "group", *features]
        self._decoder = decoder
        self._alignment = alignment
        self._features = features
        # With windows of one reading, the stage completes a window for every reading that a monitor accepts.
        self._window_stage = WindowStage(1, len(features), WindowRules(math.inf, max_skew))

    def convert(self, batch: MessageBatch) -> RecordedBatch:
        """Return the rows of a batch; within a group they are in the order of their event times."""
        decoded = self._decoder.decode(batch.messages, batch.arrivals)
        readings, dropped_values = decoded.readings, list(decoded.rejected_values)
        stale_count, stale = 0, []
        if self._alignment is not None and decoded.values is not None:
            aligned = self._alignment.push(decoded.values, batch.complete_until)
            readings = concatenate(readings, aligned.readings)
            dropped_values += rejected_values(decoded.values, aligned)
            stale_count, stale = len(aligned.stale.groups), stale_readings(aligned.stale, self._features)
        accepted = self._window_stage.push(readings)
        groups = [readings.groups[row] for row in accepted.reading_indices.tolist()]
        ts: FloatArray = accepted.ts[:, -1]  # (reading,)
        values = accepted.values[:, -1].tolist()  # (reading, feature)
        return RecordedBatch(
            rows=[[at, group, *row] for at, group, row in zip(ts.tolist(), groups, values, strict=True)],
            groups=groups,
            ts=ts,
            rejected=decoded.rejected + _rejected_readings(readings, accepted.outcomes),
            rejected_values=dropped_values,
            stale_count=stale_count,
            stale=stale,
        )

    @property
    def undecided_count(self) -> int:
        """Number of sampling times that have values, and whose reading is not decided yet."""
        return 0 if self._alignment is None else self._alignment.pending_count


class ValueRows:
    """Rows with the values as they came.

    Parameters
    ----------
    decoder : decodes the messages to values only.
    features : names of the features, in the bundle's order.
    """

    header = VALUE_COLUMNS
    noun = "value"
    undecided_count = 0

    def __init__(self, decoder: Decoder, features: Sequence[str]) -> None:
        self._decoder = decoder
        self._features = features

    def convert(self, batch: MessageBatch) -> RecordedBatch:
        """Return the rows of a batch in the order of arrival; an absent value is an empty cell."""
        decoded = self._decoder.decode(batch.messages, batch.arrivals)
        values = decoded.values
        if values is None:
            return RecordedBatch([], [], np.empty(0), decoded.rejected)
        retained = np.zeros(len(values.ts), np.bool_) if values.retained is None else values.retained
        columns = zip(
            values.ts.tolist(),
            [batch.messages[index][0] for index in decoded.message_indices],
            values.groups,
            [self._features[index] for index in values.features.tolist()],
            [None if math.isnan(value) else value for value in values.values.tolist()],
            values.arrived_at.tolist(),
            [1 if flag else None for flag in retained.tolist()],
            strict=True,
        )
        return RecordedBatch(
            rows=[list(row) for row in columns],
            groups=list(values.groups),
            ts=values.ts,
            rejected=decoded.rejected,
            rejected_values=list(decoded.rejected_values),
        )


def _rejected_readings(readings: Readings, outcomes: Sequence[Outcome]) -> list[RejectedReading]:
    """Return the readings that the window stage dropped, each with the reason."""
    leads = readings.ts - readings.arrived_at  # (reading,)
    return [
        RejectedReading(
            outcome, group, f"{_DROP_REASONS[outcome].format(lead=describe_lead(lead))} (ts {ts:.3f})"
        )
        for outcome, group, ts, lead in zip(
            outcomes, readings.groups, readings.ts.tolist(), leads.tolist(), strict=True
        )
        if outcome in _DROP_REASONS
    ]
