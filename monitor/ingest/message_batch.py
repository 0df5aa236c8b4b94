"""Collects the readings and values of a batch of messages."""

from collections.abc import Sequence

import numpy as np

from monitor.core.messages import DUP_FLAG, RETAIN_FLAG, InboundMessage
from monitor.core.readings import Arrivals, Outcome, RejectedReading
from monitor.core.values import RejectedValue, ValueOutcome, Values
from monitor.ingest.bindings import Binding
from monitor.ingest.columns import build_readings, stack_rows
from monitor.ingest.decoded_messages import DecodedMessages
from monitor.ingest.limits import MAX_PAYLOAD_BYTES, MAX_TOPIC_LENGTH, RETAINED_REASON
from monitor.ingest.source import Record, SourceError

__all__ = ["MessageBatchReader"]

_NO_TS = float("nan")


class MessageBatchReader:
    """Reads the messages of one batch.

    Parameters
    ----------
    messages : the batch.
    arrivals : their arrival times.
    features : number of features of a reading.
    """

    def __init__(self, messages: Sequence[InboundMessage], arrivals: Arrivals, features: int) -> None:
        self._messages = messages
        self._arrivals = arrivals
        self._features = features
        self.values: list[tuple[int, str, int, float, float]] = []
        """(message index, group, feature, ts, value) of each value; `ts` is NaN if the message has none."""
        # Readings: (reading,) each.
        self._row_groups: list[str] = []
        self._rows: list[tuple[float, ...]] = []
        self._row_message_indices: list[int] = []
        self._rejected: list[RejectedReading] = []
        self._rejected_values: list[RejectedValue] = []

    def add_message(self, index: int, payload: bytes, binding: Binding) -> None:
        """Add the values or the readings of a message."""
        try:
            if len(payload) > MAX_PAYLOAD_BYTES:
                raise SourceError(  # noqa: TRY301, the one place that rejects a message
                    f"the payload has {len(payload)} bytes, expected at most {MAX_PAYLOAD_BYTES}"
                )
            records = binding.read(payload, float(self._arrivals.substitute_ts[index]))
        except SourceError as error:
            self._reject(index, binding, str(error))
            return
        add_record = self._add_reading if binding.is_complete else self._add_values
        for record in records:
            if record.errors:
                self._reject_record(index, binding, record)
            add_record(index, record)
        if binding.says_all and not any(record.values or record.errors for record in records):
            self.reject_value(index, ValueOutcome.UNMATCHED, "it holds no feature of its source")

    def reject_value(self, index: int, outcome: ValueOutcome, reason: str) -> None:
        """Record that a message, or a value in it, was dropped."""
        topic = self._messages[index][0]
        self._rejected_values.append(RejectedValue(outcome, topic[:MAX_TOPIC_LENGTH], reason))

    def build(self) -> DecodedMessages:
        """Return what was collected."""
        table = stack_rows(self._rows, 1 + self._features)
        readings = build_readings(
            self._messages, self._arrivals, self._row_groups, table, self._row_message_indices
        )
        columns = tuple(zip(*self.values, strict=True)) or ((),) * 5
        return DecodedMessages(
            readings, self._rejected, self._build_values(*columns), self._rejected_values, columns[0]
        )

    def _reject(self, index: int, binding: Binding, reason: str) -> None:
        if binding.is_complete:
            self._rejected.append(RejectedReading(Outcome.MALFORMED, binding.topic.text, reason))
        else:
            self.reject_value(index, ValueOutcome.MALFORMED, reason)

    def _reject_record(self, index: int, binding: Binding, record: Record) -> None:
        """Record what can't be read: one reading, or each value."""
        for reason in ["; ".join(record.errors)] if binding.is_complete else record.errors:
            self._reject(index, binding, reason)

    def _add_values(self, index: int, record: Record) -> None:
        """Add the values of a record; without event time, they count as measured at their arrival."""
        if record.ts is None and self._messages[index][3] & RETAIN_FLAG:
            for _ in record.values:
                self.reject_value(index, ValueOutcome.RETAINED, RETAINED_REASON)
            return
        ts = _NO_TS if record.ts is None else record.ts
        self.values += [(index, record.group, feature, ts, value) for feature, value in record.values]

    def _add_reading(self, index: int, record: Record) -> None:
        """Add the reading of a record with all features."""
        topic, _, _, flags = self._messages[index]
        if record.errors:
            return
        ts = record.ts
        if ts is None:
            if flags & RETAIN_FLAG:
                self._rejected.append(RejectedReading(Outcome.RETAINED, topic, RETAINED_REASON))
                return
            ts = float(self._arrivals.substitute_ts[index])
        values = [value for _, value in sorted(record.values)]
        if np.isnan(values).any():
            reason = "; ".join(record.absences)
            self._rejected.append(RejectedReading(Outcome.STALE, record.group, reason))
            return
        self._row_groups.append(record.group)
        self._rows.append((ts, *values))
        self._row_message_indices.append(index)

    def _build_values(
        self,
        message_indices: Sequence[int],
        groups: Sequence[str],
        features: Sequence[int],
        event_times: Sequence[float],
        values: Sequence[float],
    ) -> Values:
        arrivals = self._arrivals
        indices = np.array(message_indices, np.intp)  # (value,)
        ts = np.array(event_times, np.float64)  # (value,)
        substitute_ts = arrivals.substitute_ts[indices]
        has_no_ts = np.isnan(ts)
        ts[has_no_ts] = substitute_ts[has_no_ts]
        flags = np.array([flags for _, _, _, flags in self._messages], np.uint8)[indices]  # (value,)
        is_retained = flags & RETAIN_FLAG != 0
        return Values(
            groups=groups,
            features=np.array(features, np.intp),
            ts=ts,
            values=np.array(values, np.float64),
            # A value whose event time is its arrival time must never count as ahead of the clock.
            arrived_at=np.where(has_no_ts, substitute_ts, arrivals.arrived_at[indices]),
            arrived_monotonic=arrivals.arrived_monotonic[indices],
            redelivered=flags & DUP_FLAG != 0,
            retained=is_retained if is_retained.any() else None,
            is_arrival_ts=has_no_ts if has_no_ts.any() else None,
        )
