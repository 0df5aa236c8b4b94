"""Decodes messages of any sources: to values, and to readings where a message has all features of a group."""

from collections.abc import Sequence
from dataclasses import replace

from monitor.core.messages import RETAIN_FLAG, InboundMessage
from monitor.core.readings import Arrivals
from monitor.core.topics import OwnTopics
from monitor.core.values import ValueOutcome
from monitor.ingest.bindings import Binder, Binding
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
        # The sources of each topic, or the reason why there is none.
        self._bindings_by_topic: dict[str, tuple[Binding, ...] | str] = {}

    def decode(self, messages: Sequence[InboundMessage], arrivals: Arrivals) -> DecodedMessages:
        """Return what a batch of messages holds."""
        batch = MessageBatchReader(messages, arrivals, self._features)
        bindings_by_topic, values = self._bindings_by_topic, batch.values
        for index, (topic, payload, _, flags) in enumerate(messages):
            bindings = bindings_by_topic.get(topic)
            if bindings is None:
                bindings = self._bind(topic)
            if isinstance(bindings, str):
                if bindings:
                    batch.reject_value(index, ValueOutcome.UNMATCHED, bindings)
                continue
            for binding in bindings:
                read_simple = binding.read_simple
                # Only `add_message` knows what a retained message says.
                found = None if read_simple is None or flags & RETAIN_FLAG else read_simple(payload)
                if found is not None:
                    values.append((index, binding.group, binding.feature, *found))
                else:
                    batch.add_message(index, payload, binding)
        decoded, sparkplug = batch.build(), self._sparkplug
        if sparkplug is None:
            return decoded
        return replace(decoded, births=sparkplug.take_changes(), requests=sparkplug.take_requests())

    def forget(self, group: str) -> None:
        """Remove the topics of a group from the cache."""
        for topic in self._binder.topics_of(group):
            self._bindings_by_topic.pop(topic, None)

    def _bind(self, topic: str) -> tuple[Binding, ...] | str:
        """Return the sources that read the messages on a topic, or why there is none; fill the cache."""
        if len(self._bindings_by_topic) >= MAX_CACHED_TOPICS:
            self._bindings_by_topic.clear()
        bindings = self._bindings_by_topic[topic] = self._binder.bind(topic)
        return bindings
