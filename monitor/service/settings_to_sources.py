"""Builds the decoder of messages, and the alignment of values, from settings and a bundle's features."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import structs

from monitor.bundle import Bundle
from monitor.bundle.model_input import UNIT_GROWTH_PER_MOVE, UNIT_GROWTH_PER_MOVE_ON_CHANGE
from monitor.config.settings import Settings
from monitor.config.source_settings import FeatureSettings, PathSetting, SourceSettings
from monitor.core.errors import ConfigurationError
from monitor.core.rules import AlignmentRules, default_max_gap
from monitor.core.topics import OwnTopics, Template
from monitor.ingest.alignment import AlignmentStage
from monitor.ingest.decode import DecodeStage
from monitor.ingest.decoded_messages import Decoder
from monitor.ingest.event_time import EventTimeRules
from monitor.ingest.formats.registry import FORMATS
from monitor.ingest.paths import MISSING, to_path
from monitor.ingest.source import FEATURE_NAME, Conditions, FeatureRules, Source
from monitor.ingest.source_decoder import SourceDecoder

__all__ = ["adapt_bundle", "build_alignment", "build_alignment_rules", "build_decoder", "build_sources"]

# Text in a condition that stands for nothing at its path, because TOML has no null.
_MISSING_TEXT = "missing"
_PAYLOAD_PREFIX = "$."


def build_decoder(settings: Settings, features: Sequence[str]) -> Decoder:
    """Return the decode stage for a bundle with these features.

    Raises
    ------
    ConfigurationError : `input.fields` or `input.sources` doesn't fit the bundle's features.
    """
    home_assistant = settings.homeassistant
    own_topics = OwnTopics(
        settings.mqtt.base_topic, home_assistant.discovery_prefix if home_assistant.discovery else None
    )
    if settings.input.sources:
        return SourceDecoder(build_sources(settings.input.sources, features), len(features), own_topics)
    templates = [Template(text) for text in settings.input.topics]
    try:
        return DecodeStage(templates, features, settings.input.fields, own_topics)
    except ValueError as error:
        raise ConfigurationError(f"input.fields: {error}") from error


def build_sources(sources: Sequence[SourceSettings], features: Sequence[str]) -> list[Source]:
    """Return the sources for a bundle with these features.

    Raises
    ------
    ConfigurationError : a source names an unknown feature, an invalid path, or a format that isn't installed.
    """
    result = []
    for number, source in enumerate(sources):
        try:
            result.append(_build_source(source, features))
        except ValueError as error:
            raise ConfigurationError(f"input.sources.{number} ({source.topic}): {error}") from error
    return result


def adapt_bundle(settings: Settings, loaded: Bundle) -> tuple[Settings, Bundle]:
    """Return settings and bundle as they are for this plant's sources: its pace and its deadbands.

    Aligned readings come every `input.align.period` seconds. Where a value holds until it changes, no
    message says that it did not change, so that is no gap until `max_age`. Of a change that a device doesn't
    report the baseline can't know: half a deadband is the least that its floor may be. And readings of such a
    device come because the plant moves, so its moves widen the unit less.

    Raises
    ------
    ConfigurationError : as in `build_alignment_rules`.
    """
    manifest = loaded.manifest
    rules = build_alignment_rules(settings, manifest.feature_names, manifest.sample_period)
    deadband = settings.input.align.deadband
    move_growth = None
    if manifest.baseline is not None and deadband:
        floors = tuple(
            max(floor, deadband.get(name, 0.0) / 2)
            for name, floor in zip(manifest.feature_names, manifest.baseline.floors, strict=True)
        )
        manifest = structs.replace(manifest, baseline=structs.replace(manifest.baseline, floors=floors))
        move_growth = tuple(
            UNIT_GROWTH_PER_MOVE_ON_CHANGE if name in deadband else UNIT_GROWTH_PER_MOVE
            for name in manifest.feature_names
        )
    if rules is not None:
        manifest = structs.replace(manifest, sample_period=rules.period)
        if settings.windows.max_gap is None:
            max_gap = max(default_max_gap(rules.period), max(rules.max_age) if rules.on_change else 0.0)
            windows = settings.windows.model_copy(update={"max_gap": max_gap})
            settings = settings.model_copy(update={"windows": windows})
    return settings, replace(loaded, manifest=manifest, move_growth=move_growth)


def build_alignment(
    settings: Settings, features: Sequence[str], sample_period: float
) -> AlignmentStage | None:
    """Return the stage that aligns values; None if every message is a reading of its own.

    Raises
    ------
    ConfigurationError : as in `build_alignment_rules`, or `input.align.wait` is too long.
    """
    rules = build_alignment_rules(settings, features, sample_period)
    if rules is None:
        return None
    try:
        return AlignmentStage(len(features), rules)
    except ValueError as error:
        raise ConfigurationError(f"input.align: {error}") from error


def build_alignment_rules(
    settings: Settings, features: Sequence[str], sample_period: float
) -> AlignmentRules | None:
    """Return the rules by which values are aligned; None if every message is a reading of its own.

    Parameters
    ----------
    sample_period : the bundle's, seconds.

    Raises
    ------
    ConfigurationError : `input.align.deadband` names an unknown feature, or no source gives some feature.
    """
    sources, align = settings.input.sources, settings.input.align
    _check_names("input.align.deadband", align.deadband, features)
    if all(is_complete(source, features) for source in sources):
        return None
    built = build_sources(sources, features)
    max_age = [0.0] * len(features)
    for source, rules in zip(sources, built, strict=True):
        for feature in (*rules.features, *rules.features_by_key.values(), *filter(None, [rules.feature])):
            max_age[feature.index] = max(max_age[feature.index], source.max_age or align.max_age)
    missing = [name for name, age in zip(features, max_age, strict=True) if not age]
    if missing:
        raise ConfigurationError(
            f"input.sources: no source gives {', '.join(missing)}; expected one for each feature"
        )
    return AlignmentRules(
        period=align.period or sample_period,
        wait=align.wait,
        max_age=tuple(max_age),
        on_change=align.on_change,
        is_ordered=all(_is_ordered(source) for source in sources),
        max_skew=settings.windows.max_skew,
    )


def is_complete(source: SourceSettings, features: Sequence[str]) -> bool:
    """Return whether each record of a source has all features of a group, and so is a reading."""
    has_paths = source.record_paths[0] is None and not source.feature and "{feature}" not in source.topic
    return has_paths and not source.partial and (not source.features or set(source.features) == set(features))


def _is_ordered(source: SourceSettings) -> bool:
    """Return whether all values of one feature of a group come on one topic, which keeps their order."""
    names = set(Template(source.topic).names) - {FEATURE_NAME}
    return not (names and source.group)


def _build_source(source: SourceSettings, features: Sequence[str]) -> Source:
    key, value, ts = source.record_paths
    _check_names("features", source.features, features)
    has_one_feature = bool(source.feature) or "{feature}" in source.topic or key is not None
    names = [source.feature] if source.feature else list(source.features or features)
    _check_names("feature", names, features)
    rules_by_key: dict[str, FeatureRules] = {}
    rules = []
    for name in names:
        setting = _to_feature_settings(source.features.get(name, name))
        path = setting.path if setting.path is not None else name
        index = features.index(name)
        if not has_one_feature:
            rules.append(_build_feature(setting, index, _locate(source, path)))
            continue
        feature = _build_feature(setting, index, value)
        if source.feature:
            return _assemble(source, ts, feature=feature)
        if not isinstance(path, str):
            raise ValueError(  # noqa: TRY004, a setting of the right type in the wrong place
                f"features.{name} is a list; expected the name that the records or topics have"
            )
        if path in rules_by_key:
            raise ValueError(f"features: {path!r} stands for two features")
        rules_by_key[path] = feature
    if has_one_feature:
        return _assemble(source, ts, features_by_key=rules_by_key, key=key)
    return _assemble(source, ts, features=tuple(rules))


def _assemble(source: SourceSettings, ts: PathSetting, **parts: Any) -> Source:
    key = parts.pop("key", None)
    is_path = source.group.startswith(_PAYLOAD_PREFIX)
    return Source(
        template=Template(source.topic),
        parse=FORMATS[source.format if source.format != "records" else "json"]().parse,
        key=None if key is None else to_path(key),
        records=None if source.records is None else to_path(source.records),
        group="" if is_path else source.group,
        group_path=to_path(source.group.removeprefix(_PAYLOAD_PREFIX)) if is_path else None,
        ts_path=to_path(ts) or None,
        event_time=EventTimeRules(
            unit=source.ts_unit or ("ns" if source.format == "influx" else None),
            zone=ZoneInfo(source.zone),
            format=source.ts_format or None,
            accepts_text_numbers=source.numbers == "text",
        ),
        good=_build_conditions(source.good),
        absent=frozenset(source.absent),
        accepts_text_numbers=source.numbers == "text",
        is_partial=source.partial,
        is_plain_number=source.format == "number",
        **parts,
    )


def _build_feature(setting: FeatureSettings, index: int, path: PathSetting) -> FeatureRules:
    return FeatureRules(index, to_path(path), setting.scale, setting.offset, _build_conditions(setting.good))


def _build_conditions(good: Mapping[str, Any]) -> Conditions:
    conditions = []
    for path, accepted in good.items():
        values = accepted if isinstance(accepted, tuple) else (accepted,)
        conditions.append(
            (to_path(path), tuple(MISSING if value == _MISSING_TEXT else value for value in values))
        )
    return tuple(conditions)


def _to_feature_settings(setting: PathSetting | FeatureSettings) -> FeatureSettings:
    return setting if isinstance(setting, FeatureSettings) else FeatureSettings(path=setting)


def _locate(source: SourceSettings, path: PathSetting) -> PathSetting:
    """Return the path of a feature in a record; the name of a field in line protocol may have dots."""
    is_field = isinstance(path, str) and not path.startswith(("fields.", "tags."))
    return ("fields", str(path)) if source.format == "influx" and is_field else path


def _check_names(setting: str, names: Sequence[str] | Mapping[str, Any], features: Sequence[str]) -> None:
    unknown = sorted(set(names) - set(features))
    if unknown:
        raise ConfigurationError(
            f"{setting}: {unknown[0]!r} is no feature of the bundle; expected {', '.join(features)}"
        )
