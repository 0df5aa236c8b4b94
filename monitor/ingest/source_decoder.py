"""Decodes messages of any sources: to values, and to readings where a message has all features of a group."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from monitor.core.messages import DUP_FLAG, RETAIN_FLAG, InboundMessage
from monitor.core.readings import MAX_VALUE, Arrivals, Outcome, RejectedReading
from monitor.core.sparkplug_topics import SparkplugTopic
from monitor.core.topics import FEATURE_NAME, OwnTopics
from monitor.core.values import RejectedValue, ValueOutcome, Values
from monitor.ingest.columns import build_readings, stack_rows
from monitor.ingest.decoded_messages import DecodedMessages
from monitor.ingest.limits import MAX_CACHED_TOPICS, MAX_PAYLOAD_BYTES, MAX_TOPIC_LENGTH, RETAINED_REASON
from monitor.ingest.source import FeatureRules, Record, Source, SourceError, Topic
from monitor.ingest.sparkplug_sources import SparkplugSources

__all__ = ["SourceDecoder"]


@dataclass(frozen=True, slots=True)
class _Binding:
    """A source that reads the messages on one topic."""

    source: Source
    topic: Topic
    is_complete: bool
    """Whether each record of the source is a reading."""
    plain: tuple[str, FeatureRules] | None
    """(group, feature) if the payload is a number and nothing else."""

    @property
    def says_all(self) -> bool:
        """Whether a message without any feature is a mistake."""
        return not (self.source.is_partial or self.source.where)

    def read(self, payload: bytes, _arrived_at: float) -> list[Record]:
        """Return what each record of a message says; raises SourceError."""
        return list(self.source.read(self.topic, payload))


class _SparkplugBinding:
    """The messages of one type of a Sparkplug edge node or device."""

    is_complete = False
    plain = None
    says_all = False  # most messages hold other metrics only

    def __init__(self, sparkplug: SparkplugSources, text: str, address: SparkplugTopic) -> None:
        self.topic = Topic(text, {})
        self._sparkplug = sparkplug
        self._address = address

    def read(self, payload: bytes, arrived_at: float) -> list[Record]:
        """Return what a message says of each feature; raises SourceError."""
        return self._sparkplug.read(self._address, payload, arrived_at)


_AnyBinding = _Binding | _SparkplugBinding


class SourceDecoder:
    """Decodes batches of messages of several sources.

    Parameters
    ----------
    sources : the sources; several may read the messages on one topic.
    features : number of features of a reading.
    own_topics : the topics that the monitor publishes on, whose messages are ignored.
    sparkplug : the sources of the format `sparkplug`, which are not among `sources`; None if there are none.
    values_only : whether to return the values of records that have all features one by one, too.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        features: int,
        own_topics: OwnTopics,
        sparkplug: SparkplugSources | None = None,
        *,
        values_only: bool = False,
    ) -> None:
        self._sources = sources
        self._sparkplug = sparkplug
        self._features = features
        self._values_only = values_only
        self._own_topics = own_topics
        # The sources of each topic, or the reason why there is none.
        self._bindings_by_topic: dict[str, tuple[_AnyBinding, ...] | str] = {}

    def decode(self, messages: Sequence[InboundMessage], arrivals: Arrivals) -> DecodedMessages:
        """Return what a batch of messages holds."""
        batch = _Batch(messages, arrivals, self._features)
        bindings_by_topic, add_number = self._bindings_by_topic, batch.add_number
        for index, (topic, payload, _, flags) in enumerate(messages):
            bindings = bindings_by_topic.get(topic)
            if bindings is None:
                bindings = self._bind(topic)
            if isinstance(bindings, str):
                if bindings:
                    batch.reject_value(index, ValueOutcome.UNMATCHED, bindings)
                continue
            for binding in bindings:
                plain = None if flags & RETAIN_FLAG else binding.plain
                if plain is None or not add_number(index, payload, *plain):
                    batch.add_message(index, payload, binding)
        decoded, sparkplug = batch.build(), self._sparkplug
        if sparkplug is None:
            return decoded
        return replace(decoded, births=sparkplug.take_changes(), requests=sparkplug.take_requests())

    def forget(self, group: str) -> None:
        """Remove the topics of a group from the cache."""
        if self._sparkplug is not None:
            for topic in self._sparkplug.forget(group):
                self._bindings_by_topic.pop(topic, None)
        for source in self._sources:
            for topic in source.topics_of(group):
                self._bindings_by_topic.pop(topic, None)

    def _bind(self, topic: str) -> tuple[_AnyBinding, ...] | str:
        """Return the sources that read the messages on a topic, or why there is none; fill the cache."""
        if topic in self._own_topics:
            return ""
        if len(topic) > MAX_TOPIC_LENGTH:
            return f"the topic has {len(topic)} characters, expected at most {MAX_TOPIC_LENGTH}"
        matching = [
            (source, parts) for source in self._sources if (parts := source.template.match(topic)) is not None
        ]
        bindings: list[_AnyBinding] = [
            binding
            for source, parts in matching
            if (binding := self._bind_source(source, topic, parts)) is not None
        ]
        if self._sparkplug is not None and (address := self._sparkplug.find(topic)) is not None:
            bindings.append(_SparkplugBinding(self._sparkplug, topic, address))
        result: tuple[_AnyBinding, ...] | str = tuple(bindings)
        if not (matching or bindings):
            result = "the topic fits no template of input.sources"
        elif not bindings:
            result = "the topic names a feature that is not in features of its source"
        if len(self._bindings_by_topic) >= MAX_CACHED_TOPICS:
            self._bindings_by_topic.clear()
        self._bindings_by_topic[topic] = result
        return result

    def _bind_source(self, source: Source, topic: str, parts: tuple[str, ...]) -> _Binding | None:
        """Return the binding of a source; None if the topic names a feature that is not asked for."""
        names = dict(zip(source.template.names, parts, strict=True))
        rules = source.feature
        if rules is None and FEATURE_NAME in names and source.key is None:
            rules = source.features_by_key.get(names[FEATURE_NAME])
            if rules is None:
                return None
        is_plain = source.is_plain_number and rules is not None and source.group_path is None
        group = source.group or "/".join(text for name, text in names.items() if name != FEATURE_NAME)
        has_all = len({feature.index for feature in source.features}) == self._features
        return _Binding(
            source,
            Topic(topic, names),
            has_all and not source.is_partial and not self._values_only,
            (group, rules) if is_plain and rules is not None else None,
        )


class _Batch:
    """Collects the readings and values of a batch of messages."""

    def __init__(self, messages: Sequence[InboundMessage], arrivals: Arrivals, features: int) -> None:
        self._messages = messages
        self._arrivals = arrivals
        self._features = features
        # Values: (value,) each. `ts` is NaN where the message has none.
        self._groups: list[str] = []
        self._feature_indices: list[int] = []
        self._ts: list[float] = []
        self._values: list[float] = []
        self._message_indices: list[int] = []
        # Readings: (reading,) each.
        self._row_groups: list[str] = []
        self._rows: list[tuple[float, ...]] = []
        self._row_message_indices: list[int] = []
        self._rejected: list[RejectedReading] = []
        self._rejected_values: list[RejectedValue] = []

    def add_number(self, index: int, payload: bytes, group: str, rules: FeatureRules) -> bool:
        """Add the value of a payload that is a number and nothing else; return whether it is one.

        Most messages of a plant with a topic for each value are such, and this takes a fifth of the time of
        `add_message`.
        """
        try:
            value = float(payload) * rules.scale + rules.offset
        except ValueError:
            return False
        if not -MAX_VALUE <= value <= MAX_VALUE or b"_" in payload:
            return False
        self._add_value(index, group, rules.index, float("nan"), value)
        return True

    def add_message(self, index: int, payload: bytes, binding: _AnyBinding) -> None:
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
        return DecodedMessages(
            readings, self._rejected, self._build_values(), self._rejected_values, self._message_indices
        )

    def _reject(self, index: int, binding: _AnyBinding, reason: str) -> None:
        if binding.is_complete:
            self._rejected.append(RejectedReading(Outcome.MALFORMED, binding.topic.text, reason))
        else:
            self.reject_value(index, ValueOutcome.MALFORMED, reason)

    def _reject_record(self, index: int, binding: _AnyBinding, record: Record) -> None:
        """Record what can't be read: one reading, or each value."""
        for reason in ["; ".join(record.errors)] if binding.is_complete else record.errors:
            self._reject(index, binding, reason)

    def _add_value(self, index: int, group: str, feature: int, ts: float, value: float) -> None:
        self._groups.append(group)
        self._feature_indices.append(feature)
        self._ts.append(ts)
        self._values.append(value)
        self._message_indices.append(index)

    def _add_values(self, index: int, record: Record) -> None:
        """Add the values of a record; without event time, they count as measured at their arrival."""
        if record.ts is None and self._messages[index][3] & RETAIN_FLAG:
            for _ in record.values:
                self.reject_value(index, ValueOutcome.RETAINED, RETAINED_REASON)
            return
        ts = float("nan") if record.ts is None else record.ts
        for feature, value in record.values:
            self._add_value(index, record.group, feature, ts, value)

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
            reason = "a feature is absent: null, bad quality, or a text of absent"
            self._rejected.append(RejectedReading(Outcome.STALE, record.group, reason))
            return
        self._row_groups.append(record.group)
        self._rows.append((ts, *values))
        self._row_message_indices.append(index)

    def _build_values(self) -> Values:
        arrivals = self._arrivals
        indices = np.array(self._message_indices, np.intp)  # (value,)
        ts = np.array(self._ts, np.float64)  # (value,)
        substitute_ts = arrivals.substitute_ts[indices]
        has_no_ts = np.isnan(ts)
        ts[has_no_ts] = substitute_ts[has_no_ts]
        flags = np.array([flags for _, _, _, flags in self._messages], np.uint8)[indices]  # (value,)
        is_retained = flags & RETAIN_FLAG != 0
        return Values(
            groups=self._groups,
            features=np.array(self._feature_indices, np.intp),
            ts=ts,
            values=np.array(self._values, np.float64),
            # A value whose event time is its arrival time must never count as ahead of the clock.
            arrived_at=np.where(has_no_ts, substitute_ts, arrivals.arrived_at[indices]),
            arrived_monotonic=arrivals.arrived_monotonic[indices],
            redelivered=flags & DUP_FLAG != 0,
            retained=is_retained if is_retained.any() else None,
            is_arrival_ts=has_no_ts if has_no_ts.any() else None,
        )
