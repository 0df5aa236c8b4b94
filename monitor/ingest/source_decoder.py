"""Decodes messages of any sources: to values, and to readings where a message has all features of a group."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitor.core.messages import DUP_FLAG, RETAIN_FLAG, InboundMessage
from monitor.core.readings import Arrivals, Outcome, RejectedReading
from monitor.core.topics import OwnTopics
from monitor.core.values import RejectedValue, ValueOutcome, Values
from monitor.ingest.columns import build_readings, stack_rows
from monitor.ingest.decoded_messages import DecodedMessages
from monitor.ingest.limits import MAX_CACHED_TOPICS, MAX_PAYLOAD_BYTES, MAX_TOPIC_LENGTH, RETAINED_REASON
from monitor.ingest.simple_values import ReadSimple, find_reader
from monitor.ingest.source import FEATURE_NAME, FeatureRules, Record, Source, SourceError, Topic

__all__ = ["SourceDecoder"]

_NO_TS = float("nan")


_Reader = tuple[int, ReadSimple]
"""Index of a feature, and what reads its values from simple payloads."""


@dataclass(frozen=True, slots=True)
class _Binding:
    """A source that reads the messages on one topic."""

    source: Source
    topic: Topic
    is_complete: bool
    """Whether each record of the source is a reading."""
    group: str
    """The group, if it is not in the payload."""
    reader: _Reader | None
    """Reads most messages of one value; None if the source has none such."""


class SourceDecoder:
    """Decodes batches of messages of several sources.

    Parameters
    ----------
    sources : the sources; several may read the messages on one topic.
    features : number of features of a reading.
    own_topics : the topics that the monitor publishes on, whose messages are ignored.
    """

    def __init__(self, sources: Sequence[Source], features: int, own_topics: OwnTopics) -> None:
        self._sources = sources
        self._features = features
        self._own_topics = own_topics
        # 100,000 groups have 400,000 topics, so what most messages need is in two dicts of shared objects:
        # objects of each topic's own would take several times the memory.
        self._reader_by_topic: dict[str, _Reader] = {}
        self._group_by_topic: dict[str, str] = {}
        self._groups: dict[str, str] = {}  # each group's name once, for all of its topics
        # The sources of each topic that has no reader, or had a message for `Source.read`; or the reason why
        # there is none.
        self._bindings_by_topic: dict[str, tuple[_Binding, ...] | str] = {}
        self._max_topics = features * MAX_CACHED_TOPICS
        self._readers: dict[tuple[int, int], _Reader | None] = {}

    def decode(self, messages: Sequence[InboundMessage], arrivals: Arrivals) -> DecodedMessages:
        """Return what a batch of messages holds."""
        batch = _Batch(messages, arrivals, self._features)
        readers, groups, values = self._reader_by_topic, self._group_by_topic, batch.values
        for index, (topic, payload, _, flags) in enumerate(messages):
            reader = readers.get(topic)
            # Only `add_message` knows what a retained message says.
            if reader is not None and not flags & RETAIN_FLAG:
                feature, read = reader
                found = read(payload)
                if found is not None:
                    values.append((index, groups[topic], feature, *found))
                    continue
            bindings = self._bindings_by_topic.get(topic)
            if bindings is None:
                bindings = self._bind(topic)
            if isinstance(bindings, str):
                if bindings:
                    batch.reject_value(index, ValueOutcome.UNMATCHED, bindings)
                continue
            for binding in bindings:
                batch.add_message(index, payload, binding)
        return batch.build()

    def forget(self, group: str) -> None:
        """Remove the topics of a group from the cache."""
        self._groups.pop(group, None)
        for source in self._sources:
            names = [name for name in source.template.names if name != FEATURE_NAME]
            parts = group.split("/")
            if source.group or source.group_path is not None or len(parts) != len(names):
                continue
            part_by_name = dict(zip(names, parts, strict=True))
            for feature in source.features_by_key if FEATURE_NAME in source.template.names else ("",):
                topic = source.template.fill(
                    [part_by_name.get(name, feature) for name in source.template.names]
                )
                for cache in (self._reader_by_topic, self._group_by_topic, self._bindings_by_topic):
                    cache.pop(topic, None)

    def _bind(self, topic: str) -> tuple[_Binding, ...] | str:
        """Return the sources that read the messages on a topic, or why there is none; fill the cache."""
        if topic in self._own_topics:
            return ""
        if len(topic) > MAX_TOPIC_LENGTH:
            return f"the topic has {len(topic)} characters, expected at most {MAX_TOPIC_LENGTH}"
        matching = [
            (source, parts) for source in self._sources if (parts := source.template.match(topic)) is not None
        ]
        bindings = [
            binding
            for source, parts in matching
            if (binding := self._bind_source(source, topic, parts)) is not None
        ]
        result: tuple[_Binding, ...] | str = tuple(bindings)
        if not matching:
            result = "the topic fits no template of input.sources"
        elif not bindings:
            result = "the topic names a feature that is not in features of its source"
        self._cache(topic, result)
        return result

    def _cache(self, topic: str, bindings: tuple[_Binding, ...] | str) -> None:
        """Fill the cache: of a topic that has a reader the bindings only if they are needed again."""
        if len(self._bindings_by_topic) + len(self._reader_by_topic) >= self._max_topics:
            for cache in (self._reader_by_topic, self._group_by_topic, self._groups, self._bindings_by_topic):
                cache.clear()
        if not isinstance(bindings, str) and len(bindings) == 1 and topic not in self._reader_by_topic:
            (binding,) = bindings
            if binding.reader is not None:
                self._reader_by_topic[topic] = binding.reader
                self._group_by_topic[topic] = self._groups.setdefault(binding.group, binding.group)
                return
        self._bindings_by_topic[topic] = bindings

    def _bind_source(self, source: Source, topic: str, parts: tuple[str, ...]) -> _Binding | None:
        """Return the binding of a source; None if the topic names a feature that is not asked for."""
        names = dict(zip(source.template.names, parts, strict=True))
        rules = source.feature
        if rules is None and FEATURE_NAME in names and source.key is None:
            rules = source.features_by_key.get(names[FEATURE_NAME])
            if rules is None:
                return None
        group = source.group or "/".join(text for name, text in names.items() if name != FEATURE_NAME)
        return _Binding(
            source,
            Topic(topic, names),
            len({feature.index for feature in source.features}) == self._features and not source.is_partial,
            group,
            None if rules is None else self._find_reader(source, rules),
        )

    def _find_reader(self, source: Source, rules: FeatureRules) -> _Reader | None:
        """Return what reads simple payloads, the same object for all topics."""
        key = id(source), rules.index
        if key not in self._readers:
            read = find_reader(source, rules)
            self._readers[key] = None if read is None else (rules.index, read)
        return self._readers[key]


class _Batch:
    """Collects the readings and values of a batch of messages."""

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

    def add_message(self, index: int, payload: bytes, binding: _Binding) -> None:
        """Add the values or the readings of a message."""
        try:
            if len(payload) > MAX_PAYLOAD_BYTES:
                raise SourceError(  # noqa: TRY301, the one place that rejects a message
                    f"the payload has {len(payload)} bytes, expected at most {MAX_PAYLOAD_BYTES}"
                )
            records = list(binding.source.read(binding.topic, payload))
        except SourceError as error:
            self._reject(index, binding, str(error))
            return
        add_record = self._add_reading if binding.is_complete else self._add_values
        for record in records:
            for reason in record.errors:
                self._reject(index, binding, reason)
            add_record(index, record)
        if not any(record.values or record.errors for record in records) and not binding.source.is_partial:
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
        return DecodedMessages(readings, self._rejected, self._build_values(), self._rejected_values)

    def _reject(self, index: int, binding: _Binding, reason: str) -> None:
        if binding.is_complete:
            self._rejected.append(RejectedReading(Outcome.MALFORMED, binding.topic.text, reason))
        else:
            self.reject_value(index, ValueOutcome.MALFORMED, reason)

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
            reason = "a feature is absent: null, bad quality, or a text of absent"
            self._rejected.append(RejectedReading(Outcome.STALE, record.group, reason))
            return
        self._row_groups.append(record.group)
        self._rows.append((ts, *values))
        self._row_message_indices.append(index)

    def _build_values(self) -> Values:
        arrivals = self._arrivals
        columns = tuple(zip(*self.values, strict=True)) or ((),) * 5
        message_indices, groups, features, event_times, values = columns
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
        )
