"""Reads the messages of all sources of the format `sparkplug`, which share one session."""

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.core.messages import OutboundMessage
from monitor.core.rules import DEFAULT_MAX_SKEW
from monitor.core.sparkplug_topics import SparkplugTopic, data_topic, message_templates, rebirth_topic
from monitor.ingest.limits import MAX_CACHED_TOPICS
from monitor.ingest.source import Record, Source, SourceError, Topic
from monitor.ingest.sparkplug_session import SparkplugSession, rebirth_payload

__all__ = ["GOOD_QUALITIES", "SparkplugSources"]

GOOD_QUALITIES = (None, *range(192, 256))
"""Values of the property `Quality` that say that a value is good: none sent, and OPC's good and its kinds."""

_DEATHS = frozenset({"NDEATH", "DDEATH"})
_MAX_CLOCKS = 10_000


class SparkplugSources:
    """Resolves births, data and deaths, and passes each sender's metrics to the sources that read it.

    Parameters
    ----------
    sources : sources of the format `sparkplug`, at least one.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._parse = sources[0].parse
        self._templates = [template for source in sources for template in message_templates(source.template)]
        self._session = SparkplugSession({name for source in sources for name in source.features_by_key})
        self._readers_by_topic: dict[str, list[tuple[Source, Topic]]] = {}
        # Newest event time of each edge node, ms since 1970: its clock may be ahead of ours.
        self._newest: dict[str, float] = {}
        self._requests: list[OutboundMessage] = []
        self._unused: set[str] = set()  # edge nodes in the store of which nothing is kept

    def find(self, topic: str) -> SparkplugTopic | None:
        """Return the parts of a topic, if it is of a sender that some source reads, or of its edge node."""
        if any(template.match(topic) is not None for template in self._templates):
            return SparkplugTopic.parse(topic)
        return None

    def read(self, topic: SparkplugTopic, payload: bytes, arrived_at: float) -> list[Record]:
        """Return what a message says of the features of all sources.

        Parameters
        ----------
        arrived_at : seconds since the Unix epoch.

        Raises
        ------
        SourceError : the payload can't be read.
        """
        try:
            content = self._parse(payload)
        except ValueError as error:
            raise SourceError(str(error)) from None
        resolved = self._session.update(*topic, content)
        if resolved.needs_rebirth:
            self._request_rebirth(topic, arrived_at)
        metrics_by_device: dict[str, list[dict[str, Any]]] = {}
        for metric in self._set_times(topic, resolved.records, arrived_at * 1e3):
            metrics_by_device.setdefault(metric["device"], []).append(metric)
        records: list[Record] = []
        for device, metrics in metrics_by_device.items():
            for source, sender in self._find_readers(data_topic(topic.group_id, topic.edge, device)):
                wanted = [metric for metric in metrics if metric["name"] in source.features_by_key]
                if wanted:
                    records += source.read_content(sender, wanted)
        if resolved.unknown:
            reason = f"{resolved.unknown} metrics are in no birth message that was seen; expected one before"
            records.append(Record("", None, errors=[reason]))
        return records

    def forget(self, group: str) -> list[str]:
        """Remove a group from the cache; return the topics on which messages about it alone come."""
        topics = []
        for source in self._sources:
            for topic in source.topics_of(group):
                self._readers_by_topic.pop(topic, None)
                parts = source.template.match(topic) or ()
                topics += [
                    template.fill(parts)
                    for template in message_templates(source.template)
                    if template.names == source.template.names
                ]
        return topics

    def take_changes(self) -> dict[str, bytes]:
        """Return what is to be stored of edge nodes that changed since the last call; empty: delete it."""
        changes = {key: self._session.dump(key) for key in self._session.take_dirty()}
        changes |= {key: b"" for key in self._unused if key not in changes}
        self._unused.clear()
        return changes

    def take_requests(self) -> list[OutboundMessage]:
        """Return the requests for rebirths since the last call."""
        requests, self._requests = self._requests, []
        return requests

    def load(self, edges: Mapping[str, bytes]) -> None:
        """Restore edge nodes from what `take_changes` returned; what can't be used is to be deleted.

        A rebirth is asked for where something of another version or damaged can't be used.
        """
        for key, content in edges.items():
            group_id, _, edge = key.partition("/")
            if self.find(data_topic(group_id, edge, "")) is None:
                self._unused.add(key)
                continue
            try:
                self._session.load(key, content)
            except ValueError:
                self._unused.add(key)

    def _request_rebirth(self, topic: SparkplugTopic, arrived_at: float) -> None:
        self._requests.append(
            OutboundMessage(
                rebirth_topic(topic.group_id, topic.edge),
                rebirth_payload(int(arrived_at * 1e3)),
                retain=False,
                is_full_topic=True,
            )
        )

    def _set_times(
        self, topic: SparkplugTopic, metrics: list[dict[str, Any]], arrived_at: float
    ) -> list[dict[str, Any]]:
        """Return metrics of which those of a death are after all that the edge node said before.

        Parameters
        ----------
        arrived_at : ms since 1970, the time of a death without one.
        """
        key = f"{topic.group_id}/{topic.edge}"
        if topic.message_type not in _DEATHS:
            times = [metric["timestamp"] for metric in metrics if metric["timestamp"] is not None]
            latest = arrived_at + DEFAULT_MAX_SKEW * 1e3  # later ones are a wrong clock's, and dropped
            newest = max((time for time in times if time <= latest), default=0)
            if len(self._newest) >= _MAX_CLOCKS:
                self._newest.clear()
            self._newest[key] = max(self._newest.get(key, 0), newest)
            return metrics
        after = self._newest.get(key, 0) + 1
        return [metric | {"timestamp": max(metric["timestamp"] or arrived_at, after)} for metric in metrics]

    def _find_readers(self, topic: str) -> list[tuple[Source, Topic]]:
        readers = self._readers_by_topic.get(topic)
        if readers is None:
            readers = [
                (source, Topic(topic, dict(zip(source.template.names, parts, strict=True))))
                for source in self._sources
                if (parts := source.template.match(topic)) is not None
            ]
            if len(self._readers_by_topic) >= MAX_CACHED_TOPICS:
                self._readers_by_topic.clear()
            self._readers_by_topic[topic] = readers
        return readers
