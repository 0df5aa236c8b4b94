"""Builds what reads and aligns single values for recordings, from settings and a bundle's features."""

from collections.abc import Sequence

from monitor.bundle import Bundle
from monitor.config.settings import Settings
from monitor.core.errors import ConfigurationError
from monitor.core.rules import AlignmentRules
from monitor.core.topics import Template
from monitor.ingest.alignment import AlignmentStage
from monitor.ingest.source_decoder import SourceDecoder
from monitor.service.settings_to_alignment import (
    adapt_to_rules,
    build_alignment_rules,
    build_stage,
    is_complete,
)
from monitor.service.settings_to_decoder import build_source_decoder

__all__ = ["adapt_to_values", "build_value_decoder", "complete_templates"]


def build_value_decoder(settings: Settings, features: Sequence[str]) -> SourceDecoder:
    """Return a decode stage that returns all values one by one, also those of records with all features.

    Raises
    ------
    ConfigurationError : there are no `input.sources`, or they don't fit the features.
    """
    if not settings.input.sources:
        raise ConfigurationError(
            "input.sources: there are none, so each message is a reading and not single values; "
            "expected at least one"
        )
    return build_source_decoder(settings, features, values_only=True)


def adapt_to_values(settings: Settings, loaded: Bundle) -> tuple[Settings, Bundle, AlignmentStage | None]:
    """Return settings and bundle with the pace of recorded values, and the stage that aligns these.

    The stage is None if the sources' records are readings.

    Raises
    ------
    ConfigurationError : sources and alignment don't fit the bundle.
    """
    features = loaded.manifest.feature_names
    rules = _build_rules(settings, features, loaded.manifest.sample_period)
    settings, loaded = adapt_to_rules(settings, loaded, rules)
    return settings, loaded, None if rules is None else build_stage(features, rules)


def complete_templates(settings: Settings, features: Sequence[str]) -> list[Template]:
    """Return the templates of the sources whose records have all features, so that each is a reading."""
    return [Template(source.topic) for source in settings.input.sources if is_complete(source, features)]


def _build_rules(settings: Settings, features: Sequence[str], sample_period: float) -> AlignmentRules | None:
    rules = build_alignment_rules(settings, features, sample_period)
    if rules is not None or settings.input.sources:
        return rules
    align = settings.input.align
    return AlignmentRules(
        period=align.period or sample_period,
        wait=align.wait,
        max_age=(align.max_age,) * len(features),
        on_change=align.on_change,
        is_ordered=False,  # without sources nothing tells how many topics a feature comes by
        max_skew=settings.windows.max_skew,
    )
