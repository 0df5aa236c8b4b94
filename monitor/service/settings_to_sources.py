"""Builds sources from settings and a bundle's features."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from monitor.config.source_settings import FeatureSettings, PathSetting, SourceSettings
from monitor.core.errors import ConfigurationError
from monitor.core.topics import Template
from monitor.ingest.event_time import EventTimeRules
from monitor.ingest.formats.registry import FORMATS
from monitor.ingest.paths import MISSING, describe_path, to_path
from monitor.ingest.source import Conditions, FeatureRules, Source
from monitor.ingest.sparkplug_sources import GOOD_QUALITIES

__all__ = ["build_sources", "check_names"]

# Text in a condition that stands for nothing at its path, because TOML has no null.
_MISSING_TEXT = "missing"
_TS_UNITS = {"influx": "ns", "sparkplug": "ms"}


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


def _build_source(source: SourceSettings, features: Sequence[str]) -> Source:
    key, value, ts = source.record_paths
    check_names("features", source.features, features)
    has_one_feature = bool(source.feature) or source.topic_names_feature or key is not None
    names = [source.feature] if source.feature else list(source.features or features)
    check_names("feature", names, features)
    rules_by_key: dict[str, FeatureRules] = {}
    rules: list[FeatureRules] = []
    for name in names:
        setting = source.features.get(name, FeatureSettings())
        path = setting.path if setting.path is not None else name
        index = features.index(name)
        if not has_one_feature:
            feature = _build_feature(setting, index, _locate(source, path))
            if feature.path in [other.path for other in rules]:
                raise ValueError(f"features: {describe_path(feature.path)} stands for two features")
            rules.append(feature)
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
    return Source(
        template=Template(source.topic),
        parse=FORMATS[source.format if source.format != "records" else "json"]().parse,
        key=None if key is None else to_path(key),
        records=None if source.records is None else to_path(source.records),
        group="" if source.group_path else source.group,
        group_path=to_path(source.group_path) if source.group_path else None,
        ts_path=to_path(ts) or None,
        needs_record_ts=bool(source.ts),
        event_time=EventTimeRules(
            unit=source.ts_unit or _TS_UNITS.get(source.format),
            zone=ZoneInfo(source.zone),
            format=source.ts_format or None,
            accepts_text_numbers=source.numbers == "text",
        ),
        where=_build_conditions(source.where),
        good=_build_conditions(source.good) + _default_conditions(source),
        absent=frozenset(source.absent),
        accepts_text_numbers=source.numbers == "text",
        is_partial=source.partial,
        is_plain_number=source.format == "number",
        is_json=source.format in {"json", "records"},
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


def _default_conditions(source: SourceSettings) -> Conditions:
    """Return what the format says of good values, where the settings say nothing of it."""
    is_default = source.format == "sparkplug" and "quality" not in source.good
    return ((("quality",), GOOD_QUALITIES),) if is_default else ()


def _locate(source: SourceSettings, path: PathSetting) -> PathSetting:
    """Return the path of a feature in a record; the name of a field in line protocol may have dots."""
    is_field = isinstance(path, str) and not path.startswith(("fields.", "tags."))
    return ("fields", str(path)) if source.format == "influx" and is_field else path


def check_names(setting: str, names: Sequence[str] | Mapping[str, Any], features: Sequence[str]) -> None:
    """Check that names in a setting are features of the bundle.

    Raises
    ------
    ConfigurationError : one is not.
    """
    unknown = sorted(set(names) - set(features))
    if unknown:
        raise ConfigurationError(
            f"{setting}: {unknown[0]!r} is no feature of the bundle; expected {', '.join(features)}"
        )
