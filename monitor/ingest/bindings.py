"""Which sources read the messages on a topic."""

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.core.sparkplug_topics import SparkplugTopic
from monitor.core.topics import FEATURE_NAME, OwnTopics
from monitor.ingest.limits import MAX_TOPIC_LENGTH
from monitor.ingest.simple_values import ReadSimple, find_reader
from monitor.ingest.source import FeatureRules, Record, Source, Topic
from monitor.ingest.sparkplug_sources import SparkplugSources

__all__ = ["Binder", "Binding"]


@dataclass(frozen=True, slots=True)
class _SourceBinding:
    """A source that reads the messages on one topic."""

    source: Source
    topic: Topic
    is_complete: bool
    """Whether each record of the source is a reading."""
    group: str
    """The group, if it is not in the payload."""
    feature: int
    """Index of the feature of all messages on the topic; only if `read_simple` is given."""
    read_simple: ReadSimple | None
    """Reads most messages of one value; None if the source has none such."""

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
    group = ""
    feature = -1
    read_simple = None
    says_all = False  # most messages hold other metrics only

    def __init__(self, sparkplug: SparkplugSources, text: str, address: SparkplugTopic) -> None:
        self.topic = Topic(text, {})
        self._sparkplug = sparkplug
        self._address = address

    def read(self, payload: bytes, arrived_at: float) -> list[Record]:
        """Return what a message says of each feature; raises SourceError."""
        return self._sparkplug.read(self._address, payload, arrived_at)


Binding = _SourceBinding | _SparkplugBinding


class Binder:
    """Finds the sources that read the messages on a topic.

    Parameters
    ----------
    sources : the sources; several may read the messages on one topic.
    features : number of features of a reading.
    own_topics : the topics that the monitor publishes on, whose messages are ignored.
    sparkplug : the sources of the format `sparkplug`, which are not among `sources`; None if there are none.
    values_only : whether no message counts as a reading, even if it has all features.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        features: int,
        own_topics: OwnTopics,
        sparkplug: SparkplugSources | None,
        *,
        values_only: bool,
    ) -> None:
        self._sources = sources
        self._features = features
        self._own_topics = own_topics
        self._sparkplug = sparkplug
        self._values_only = values_only
        self._readers: dict[tuple[int, int], ReadSimple | None] = {}

    def bind(self, topic: str) -> tuple[Binding, ...] | str:
        """Return the sources that read the messages on a topic, or why there is none; "": it is our own."""
        if topic in self._own_topics:
            return ""
        if len(topic) > MAX_TOPIC_LENGTH:
            return f"the topic has {len(topic)} characters, expected at most {MAX_TOPIC_LENGTH}"
        matching = [
            (source, parts) for source in self._sources if (parts := source.template.match(topic)) is not None
        ]
        bindings: list[Binding] = [
            binding
            for source, parts in matching
            if (binding := self._bind_source(source, topic, parts)) is not None
        ]
        if self._sparkplug is not None and (address := self._sparkplug.find(topic)) is not None:
            bindings.append(_SparkplugBinding(self._sparkplug, topic, address))
        if not (matching or bindings):
            return "the topic fits no template of input.sources"
        return tuple(bindings) or "the topic names a feature that is not in features of its source"

    def topics_of(self, group: str) -> list[str]:
        """Return the topics on which messages of a group may have come."""
        topics = [topic for source in self._sources for topic in source.topics_of(group)]
        return topics if self._sparkplug is None else [*topics, *self._sparkplug.forget(group)]

    def _bind_source(self, source: Source, topic: str, parts: tuple[str, ...]) -> _SourceBinding | None:
        """Return the binding of a source; None if the topic names a feature that is not asked for."""
        names = dict(zip(source.template.names, parts, strict=True))
        rules = source.feature
        if rules is None and FEATURE_NAME in names and source.key is None:
            rules = source.features_by_key.get(names[FEATURE_NAME])
            if rules is None:
                return None
        group = source.group or "/".join(text for name, text in names.items() if name != FEATURE_NAME)
        has_all = len({feature.index for feature in source.features}) == self._features
        return _SourceBinding(
            source,
            Topic(topic, names),
            has_all and not source.is_partial and not self._values_only,
            group,
            -1 if rules is None else rules.index,
            None if rules is None else self._find_reader(source, rules),
        )

    def _find_reader(self, source: Source, rules: FeatureRules) -> ReadSimple | None:
        """Return what reads simple payloads, the same for all topics."""
        key = id(source), rules.index
        if key not in self._readers:
            self._readers[key] = find_reader(source, rules)
        return self._readers[key]
