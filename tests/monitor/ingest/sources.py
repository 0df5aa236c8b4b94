"""Sources built from settings, for tests of what they read."""

import json
from typing import Any

import numpy as np

from monitor.config.source_settings import SourceSettings
from monitor.core.messages import InboundMessage
from monitor.core.readings import Arrivals
from monitor.core.topics import OwnTopics
from monitor.ingest.decoded_messages import DecodedMessages
from monitor.ingest.source import Record, Source, Topic
from monitor.ingest.source_decoder import SourceDecoder
from monitor.service.settings_to_sources import build_sources
from tests.support.toy_bundle import NAMES

__all__ = ["ARRIVED_AT", "TOPIC", "build_source", "decode", "decoder", "read", "to_payload"]

TOPIC = "plant/rack3"
ARRIVED_AT = 1.7e9


def build_source(**settings: Any) -> Source:
    """Return the source of these settings; `topic` is plant/{rack} unless given."""
    (source,) = build_sources([SourceSettings(**{"topic": "plant/{rack}", **settings})], NAMES)
    return source


def to_payload(content: Any) -> bytes:
    """Return bytes as they are, and anything else as JSON."""
    return content if isinstance(content, bytes) else json.dumps(content).encode()


def read(content: Any, message_topic: str = TOPIC, **settings: Any) -> list[Record]:
    """Return the records that a source with these settings reads from a message."""
    source = build_source(**settings)
    names = dict(zip(source.template.names, source.template.match(message_topic) or (), strict=True))
    return list(source.read(Topic(message_topic, names), to_payload(content)))


def decoder(*sources: dict[str, Any]) -> SourceDecoder:
    """Return a decoder of sources; their `topic` is plant/{rack} unless given."""
    return SourceDecoder(
        [build_source(**settings) for settings in sources], len(NAMES), OwnTopics("sensor-monitor")
    )


def decode(stage: SourceDecoder, *messages: tuple[str, Any], flags: int = 0) -> DecodedMessages:
    """Decode messages (topic, content) as one batch that arrives at `ARRIVED_AT`."""
    batch: list[InboundMessage] = [(topic, to_payload(content), None, flags) for topic, content in messages]
    count = len(batch)
    arrivals = Arrivals(np.full(count, ARRIVED_AT), np.full(count, ARRIVED_AT), np.full(count, 7.0))
    return stage.decode(batch, arrivals)
