"""Decodes messages of any sources: to values, and to readings where a message has all features of a group."""

from collections.abc import Sequence
from dataclasses import replace

from monitor.core.messages import RETAIN_FLAG, InboundMessage
from monitor.core.readings import Arrivals
from monitor.core.topics import OwnTopics
from monitor.core.values import ValueOutcome
from monitor.ingest.bindings import Binder, Binding, Reader
from monitor.ingest.decoded_messages import DecodedMessages
from monitor.ingest.limits import MAX_CACHED_TOPICS
from monitor.ingest.message_batch import MessageBatchReader
from monitor.ingest.source import Source
from monitor.ingest.sparkplug_sources import SparkplugSources

__all__ = ["SourceDecoder"]


class SourceDecoder:
    """Decodes batches of messages of several sources.

    Parameters
    ----------
    sources, features, own_topics, sparkplug : as in `Binder`.
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
        self._features = features
        self._sparkplug = sparkplug
        self._binder = Binder(sources, features, own_topics, sparkplug, values_only=values_only)
        # 100,000 groups have 400,000 topics, so what most messages need is in two dicts of shared objects:
        # objects of each topic's own would take several times the memory.
        self._reader_by_topic: dict[str, Reader] = {}
        self._group_by_topic: dict[str, str] = {}
        self._groups: dict[str, str] = {}  # one object for the name of each group
        # The sources of each topic that has no reader, or had a message that its reader doesn't take; or the
        # reason why there is none.
        self._bindings_by_topic: dict[str, tuple[Binding, ...] | str] = {}
        self._max_topics = features * MAX_CACHED_TOPICS

    def decode(self, messages: Sequence[InboundMessage], arrivals: Arrivals) -> DecodedMessages:
        """Return what a batch of messages holds."""
        batch = MessageBatchReader(messages, arrivals, self._features)
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
        decoded, sparkplug = batch.build(), self._sparkplug
        if sparkplug is None:
            return decoded
        return replace(decoded, births=sparkplug.take_changes(), requests=sparkplug.take_requests())

    def forget(self, group: str) -> None:
        """Remove the topics of a group from the cache."""
        self._groups.pop(group, None)
        for topic in self._binder.topics_of(group):
            for cache in (self._reader_by_topic, self._group_by_topic, self._bindings_by_topic):
                cache.pop(topic, None)

    def _bind(self, topic: str) -> tuple[Binding, ...] | str:
        """Return the sources that read the messages on a topic, or why there is none; fill the cache."""
        bindings = self._binder.bind(topic)
        if len(self._bindings_by_topic) + len(self._reader_by_topic) >= self._max_topics:
            for cache in (self._reader_by_topic, self._group_by_topic, self._groups, self._bindings_by_topic):
                cache.clear()
        reader = bindings[0].reader if not isinstance(bindings, str) and len(bindings) == 1 else None
        if reader is None or topic in self._reader_by_topic:
            self._bindings_by_topic[topic] = bindings
        elif not isinstance(bindings, str):
            # Of a topic that has a reader the bindings are kept only if they are needed again.
            self._reader_by_topic[topic] = reader
            self._group_by_topic[topic] = self._groups.setdefault(bindings[0].group, bindings[0].group)
        return bindings
