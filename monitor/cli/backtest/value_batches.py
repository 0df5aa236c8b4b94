"""Judges recorded values: aligns them into readings, and judges these as the daemon does."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from monitor.cli.backtest.reading_assembler import ReadingAssembler
from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.readings import Readings, concatenate
from monitor.core.values import ValueOutcome, Values
from monitor.detect.scoring import ScoredBatch
from monitor.groups.state import GroupStates
from monitor.ingest.alignment import AlignmentStage
from monitor.recordings.reader import RecordingRow
from monitor.recordings.values import ValueBlock, ValueRecording

__all__ = ["ValueBatches"]

# Seconds of arrivals in a batch: the daemon looks for silent groups at least as often.
_BATCH_S = 0.5


class ValueBatches:
    """The readings of a recording of values, judged batch by batch.

    Values with an arrival time are processed as by the daemon: the clock decides sampling times, and a group
    without values falls silent. Without arrival times there is no clock: the values alone decide.

    Parameters
    ----------
    recording : the recording.
    features : names of the features, in the bundle's order.
    groups : judges readings; it has aligned and judged nothing yet.
    alignment : the stage that `groups` aligns with; None if all values are those of readings.
    assembler : puts readings together whose values were recorded one by one.
    """

    def __init__(
        self,
        recording: ValueRecording,
        features: Sequence[str],
        groups: GroupStates,
        alignment: AlignmentStage | None,
        assembler: ReadingAssembler,
    ) -> None:
        self._recording = recording
        self._index_by_name = {name: index for index, name in enumerate(features)}
        self._groups = groups
        self._alignment = alignment
        self._assembler = assembler
        self._now = -np.inf  # largest arrival so far; the clock of a recording never goes back
        self._stale_count = 0
        self.outcomes: Counter[ValueOutcome] = Counter()
        """Values by outcome."""
        self.first_problem = ""
        """Why the first malformed value can't be used; "" if there is none."""
        self.unused_features: dict[str, None] = {}
        """Names of features that the bundle doesn't have."""

    @property
    def stale_count(self) -> int:
        """Number of sampling times and records without a reading, because a feature was absent or too old."""
        return self._stale_count + self._assembler.incomplete_count

    @property
    def undecided_count(self) -> int:
        """Number of sampling times that the end of the recording left undecided."""
        return 0 if self._alignment is None else self._alignment.pending_count

    def judge(self) -> Iterator[tuple[list[RecordingRow], ScoredBatch]]:
        """Yield readings, as rows, with what the stages say of them."""
        for block in self._recording.blocks():
            usable = self._find_usable(block)
            topics, values = self._to_values(block, usable)
            if not self._recording.has_arrivals:
                yield from self._judge(topics, values, -np.inf)
                continue
            start = 0
            while start < len(values.ts):
                arrivals = values.arrived_monotonic
                end = int(np.searchsorted(arrivals, arrivals[start] + _BATCH_S, side="right"))
                yield from self._advance(float(arrivals[start]))
                part = slice(start, end)
                yield from self._judge(topics[part], _take(values, part), float(arrivals[end - 1]))
                start = end

    def _advance(self, now: float) -> Iterator[tuple[list[RecordingRow], ScoredBatch]]:
        """Let time pass until `now`: the clock decides sampling times."""
        nothing = _take(_NO_VALUES, slice(0))
        while self._alignment is not None and self._alignment.next_deadline <= now:
            yield from self._judge([], nothing, self._alignment.next_deadline)

    def _judge(
        self, topics: Sequence[str], values: Values, now: float
    ) -> Iterator[tuple[list[RecordingRow], ScoredBatch]]:
        """Align and judge a batch in which the last value arrived at `now`; -inf: there is no clock."""
        groups = self._groups
        if now > -np.inf:
            groups.mark_silent(float(values.arrived_monotonic[0]) if len(values.ts) else now)
        is_record = np.array([self._assembler.reads(topic) for topic in topics], np.bool_)
        records, single = np.flatnonzero(is_record), np.flatnonzero(~is_record)
        record_topics = [topics[index] for index in records.tolist()]
        readings = self._assembler.push(record_topics, _take(values, records))
        single_values = _take(values, single)
        aligned = groups.align(single_values, now, now)
        self.outcomes.update([ValueOutcome.ACCEPTED] * len(records))
        if aligned is None:
            self.outcomes.update([ValueOutcome.UNMATCHED] * len(single))
        else:
            readings = concatenate(readings, aligned.readings)
            self.outcomes.update(aligned.outcomes)
            self._stale_count += len(aligned.stale.groups)
        if len(readings.ts):  # most batches of a slow plant have none
            scored = groups.judge(readings, now)
            groups.update_statuses(readings, scored, now)
            groups.learn_pending(scored)
            yield _to_rows(readings), scored
        if aligned is not None:
            groups.update_value_statuses(single_values, aligned, now)

    def _find_usable(self, block: ValueBlock) -> IndexArray:
        """Return the indices of the values that can be aligned; count the others."""
        invalid = block.find_invalid()
        if invalid:
            self.outcomes[ValueOutcome.MALFORMED] += len(invalid)
            self.first_problem = self.first_problem or block.describe_problem(invalid[0])
        is_usable = np.array([name in self._index_by_name for name in block.features], np.bool_)
        is_usable[invalid] = True
        unknown = np.flatnonzero(~is_usable).tolist()
        self.outcomes.update([ValueOutcome.UNMATCHED] * len(unknown))
        self.unused_features.update(dict.fromkeys(block.features[index] for index in unknown))
        is_usable[invalid] = False
        return np.flatnonzero(is_usable)

    def _to_values(self, block: ValueBlock, usable: IndexArray) -> tuple[list[str], Values]:
        """Return the topics and the values of a block at some indices."""
        arrived_at = block.arrived_at[usable]
        arrived_monotonic: FloatArray = np.zeros(len(usable))
        if self._recording.has_arrivals:
            arrived_monotonic = np.maximum(np.maximum.accumulate(arrived_at), self._now)
            self._now = float(np.max(arrived_monotonic, initial=self._now))
        indices = usable.tolist()
        return [block.topics[index] for index in indices], Values(
            groups=[block.groups[index] for index in indices],
            features=np.array([self._index_by_name[block.features[index]] for index in indices], np.intp),
            ts=block.ts[usable],
            values=block.values[usable],
            arrived_at=arrived_at,
            arrived_monotonic=arrived_monotonic,
            redelivered=np.zeros(len(usable), np.bool_),
            retained=block.retained[usable],
        )


_NO_VALUES = Values(
    groups=[],
    features=np.empty(0, np.intp),
    ts=np.empty(0),
    values=np.empty(0),
    arrived_at=np.empty(0),
    arrived_monotonic=np.empty(0),
    redelivered=np.empty(0, np.bool_),
    retained=np.empty(0, np.bool_),
)


def _take(values: Values, selection: IndexArray | slice) -> Values:
    """Return some of the values of a batch."""
    positions = selection if isinstance(selection, slice) else selection.tolist()
    groups = (
        values.groups[positions] if isinstance(positions, slice) else [values.groups[i] for i in positions]
    )
    columns: dict[str, Any] = {
        name: None if (column := getattr(values, name)) is None else column[selection] for name in _COLUMNS
    }
    return Values(groups, **columns)


_COLUMNS = Values.__slots__[1:]  # without the groups, which are no array


def _to_rows(readings: Readings) -> list[RecordingRow]:
    columns = zip(readings.ts.tolist(), readings.groups, readings.values.tolist(), strict=True)
    return [
        RecordingRow(str(ts), ts, group, values, is_faulty=False, problem="") for ts, group, values in columns
    ]
