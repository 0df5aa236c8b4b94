"""Builds the decoder of messages from settings and a bundle's features."""

from collections.abc import Mapping, Sequence

from monitor.config.settings import Settings
from monitor.core.errors import ConfigurationError
from monitor.core.topics import OwnTopics, Template
from monitor.ingest.decode import DecodeStage
from monitor.ingest.decoded_messages import Decoder
from monitor.ingest.source import Source
from monitor.ingest.source_decoder import SourceDecoder
from monitor.ingest.sparkplug_sources import SparkplugSources
from monitor.service.settings_to_sources import build_sources

__all__ = ["build_decoder", "build_source_decoder", "own_topics"]


def build_decoder(
    settings: Settings, features: Sequence[str], births: Mapping[str, bytes] | None = None
) -> Decoder:
    """Return the decode stage for a bundle with these features.

    Parameters
    ----------
    births : what was stored of Sparkplug edge nodes, see `DecodedMessages.births`.

    Raises
    ------
    ConfigurationError : `input.fields` or `input.sources` doesn't fit the bundle's features.
    """
    if settings.input.sources:
        return build_source_decoder(settings, features, births)
    templates = [Template(text) for text in settings.input.topics]
    try:
        return DecodeStage(templates, features, settings.input.fields, own_topics(settings))
    except ValueError as error:
        raise ConfigurationError(f"input.fields: {error}") from error


def build_source_decoder(
    settings: Settings,
    features: Sequence[str],
    births: Mapping[str, bytes] | None = None,
    *,
    values_only: bool = False,
) -> SourceDecoder:
    """Return the decode stage for `input.sources`.

    Parameters
    ----------
    births : as in `build_decoder`.
    values_only : whether to return the values of records that have all features one by one, too.

    Raises
    ------
    ConfigurationError : `input.sources` doesn't fit the bundle's features.
    """
    sources: list[Source] = []
    sparkplug_sources: list[Source] = []
    built = build_sources(settings.input.sources, features)
    for source_settings, source in zip(settings.input.sources, built, strict=True):
        (sparkplug_sources if source_settings.format == "sparkplug" else sources).append(source)
    sparkplug = SparkplugSources(sparkplug_sources) if sparkplug_sources else None
    if sparkplug is not None:
        sparkplug.load(births or {})
    return SourceDecoder(sources, len(features), own_topics(settings), sparkplug, values_only=values_only)


def own_topics(settings: Settings) -> OwnTopics:
    """Return the topics that a monitor with these settings publishes on."""
    home_assistant = settings.homeassistant
    return OwnTopics(
        settings.mqtt.base_topic, home_assistant.discovery_prefix if home_assistant.discovery else None
    )
