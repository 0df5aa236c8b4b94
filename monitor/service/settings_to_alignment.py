"""Builds the alignment of values from settings, and adapts a bundle to the pace of a plant's sources."""

from collections.abc import Sequence
from dataclasses import replace

from msgspec import structs

from monitor.bundle import Bundle
from monitor.bundle.model_input import UNIT_GROWTH_PER_MOVE, UNIT_GROWTH_PER_MOVE_ON_CHANGE
from monitor.config.settings import Settings
from monitor.config.source_conflicts import group_key
from monitor.config.source_settings import SourceSettings
from monitor.core.errors import ConfigurationError
from monitor.core.rules import AlignmentRules, default_max_gap
from monitor.core.topics import FEATURE_NAME, Template
from monitor.ingest.alignment import AlignmentStage
from monitor.service.settings_to_sources import build_sources, check_names

__all__ = [
    "adapt_bundle",
    "adapt_to_rules",
    "build_alignment",
    "build_alignment_rules",
    "build_stage",
    "is_complete",
]


def adapt_bundle(settings: Settings, loaded: Bundle) -> tuple[Settings, Bundle]:
    """Return settings and bundle as they are for this plant's sources, see `adapt_to_rules`.

    Raises
    ------
    ConfigurationError : as in `build_alignment_rules`.
    """
    manifest = loaded.manifest
    rules = build_alignment_rules(settings, manifest.feature_names, manifest.sample_period)
    return adapt_to_rules(settings, loaded, rules)


def adapt_to_rules(
    settings: Settings, loaded: Bundle, rules: AlignmentRules | None
) -> tuple[Settings, Bundle]:
    """Return settings and bundle with the pace of aligned readings, and the deadbands of their devices.

    Aligned readings come every `rules.period` seconds. Where a value holds until it changes, no message says
    that it did not change, so that is no gap until `max_age`. Of a change that a device doesn't report the
    baseline can't know: half a deadband is the least that its floor may be. Readings of such a device come
    because the plant moves, so a move widens the unit less.

    Parameters
    ----------
    rules : how values are aligned; None if all messages are readings.
    """
    manifest, deadband = loaded.manifest, settings.input.align.deadband
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
    return None if rules is None else build_stage(features, rules)


def build_stage(features: Sequence[str], rules: AlignmentRules) -> AlignmentStage:
    """Return the stage that aligns values by rules.

    Raises
    ------
    ConfigurationError : `input.align.wait` is too long.
    """
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
    ConfigurationError : as in `build_sources`; `input.align.deadband` names an unknown feature; or no source
        gives some feature.
    """
    sources, align = settings.input.sources, settings.input.align
    check_names("input.align.deadband", align.deadband, features)
    if all(is_complete(source, features) for source in sources):
        return None
    build_sources(sources, features)  # says what is wrong with one, before what all of them lack
    return AlignmentRules(
        period=align.period or sample_period,
        wait=align.wait,
        max_age=_choose_max_ages(sources, features, align.max_age),
        on_change=align.on_change,
        is_ordered=all(_is_ordered(source) for source in sources),
        max_skew=settings.windows.max_skew,
    )


def _choose_max_ages(
    sources: Sequence[SourceSettings], features: Sequence[str], default: float
) -> tuple[float, ...]:
    """Return how many seconds a value of each feature holds (feature,).

    Raises
    ------
    ConfigurationError : no source gives some feature, or two give it with different ages.
    """
    max_ages: dict[str, float] = {}
    for source in sources:
        for name in [source.feature] if source.feature else source.features or features:
            max_age = source.max_age or default
            if max_ages.setdefault(name, max_age) != max_age:
                raise ConfigurationError(
                    f"input.sources ({source.topic}): max_age of {name} is {max_age:g} s, and "
                    f"{max_ages[name]:g} s in another source; expected one for each feature"
                )
    missing = [name for name in features if name not in max_ages]
    if missing:
        raise ConfigurationError(
            f"input.sources: no source gives {', '.join(missing)}; expected one for each feature"
        )
    _check_groups(sources, features)
    return tuple(max_ages[name] for name in features)


def _check_groups(sources: Sequence[SourceSettings], features: Sequence[str]) -> None:
    """Check that the groups of each source can get all features.

    Raises
    ------
    ConfigurationError : those of some source can't, because other sources have other groups.
    """
    features_by_key: dict[str | int | None, set[str]] = {}
    for source in sources:
        names = [source.feature] if source.feature else source.features or features
        features_by_key.setdefault(group_key(source), set()).update(names)
    for source in sources:
        key = group_key(source)
        keys = {key, None, key.count("/") + 1 if isinstance(key, str) else key}
        if key is None:
            keys = set(features_by_key)
        elif isinstance(key, int):
            keys |= {
                other for other in features_by_key if isinstance(other, str) and other.count("/") + 1 == key
            }
        found = set().union(*(features_by_key.get(other, set()) for other in keys))
        missing = [name for name in features if name not in found]
        if missing:
            raise ConfigurationError(
                f"input.sources ({source.topic}): no source gives its groups {', '.join(missing)}; expected "
                "sources whose group is the same constant, or has as many names"
            )


def is_complete(source: SourceSettings, features: Sequence[str]) -> bool:
    """Return whether each record of a source has all features of a group, and so is a reading."""
    has_paths = source.record_paths[0] is None and not source.feature and not source.topic_names_feature
    return has_paths and not source.partial and (not source.features or set(source.features) == set(features))


def _is_ordered(source: SourceSettings) -> bool:
    """Return whether all values of one feature of a group come on one topic, which keeps their order."""
    names = set(Template(source.topic).names) - {FEATURE_NAME}
    return not (names and source.group)
