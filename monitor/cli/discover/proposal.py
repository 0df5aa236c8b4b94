"""Writes settings, with comments where the reader must decide, for what came."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import structs

from monitor.bundle.manifest import Manifest
from monitor.cli.discover.candidates import find_candidates
from monitor.cli.discover.comments import to_comment
from monitor.cli.discover.features import find_features, write_features
from monitor.cli.discover.groups import Cluster, Group, find_clusters
from monitor.cli.discover.pace import Pace, propose_pace
from monitor.cli.discover.source_settings import SourceText
from monitor.cli.discover.sources import ClusterSources, build_sources
from monitor.cli.discover.survey import Survey
from monitor.cli.discover.toml_text import to_key, to_toml
from monitor.cli.discover.words import Words
from monitor.core.rules import default_max_gap

__all__ = ["propose"]

_MAX_SHOWN_GROUPS = 8
_MAX_SHOWN_INCOMPLETE = 12
_MAX_INLINE = 90
_NOT_TAKEN_APART = {
    "sparkplug": "Sparkplug B: most messages have no names but numbers that a birth explained",
    "influx": "line protocol: `pip install 'sensor-monitor[influx]'` reads it",
}


def propose(survey: Survey, words: Words, manifest: Manifest) -> str:
    """Return settings as TOML: sources, alignment, and what is left out and why as comments.

    Where nothing gives a group the features of a bundle that judges any, those that there are come first.
    """
    text, is_usable = _propose(survey, words, manifest)
    others = [] if is_usable or manifest.judges == "window" else find_features(survey)
    if not others:
        return text
    own_words = Words(feature.measured_quantity for feature in others)
    other_text, _ = _propose(survey, own_words, structs.replace(manifest, features=tuple(others)))
    note = f"the groups don't have {', '.join(manifest.feature_names)}, which the bundle was trained on"
    return "\n".join([*to_comment(note), *write_features(others), other_text])


def _propose(survey: Survey, words: Words, manifest: Manifest) -> tuple[str, bool]:
    """Return settings as TOML, and whether they have sources."""
    features = manifest.feature_names
    candidates = find_candidates(survey, words)
    clusters = find_clusters(candidates, words, features)
    built = build_sources(clusters, survey)
    used = [part for part in built if not part.left_out and part.sources]
    lines = [*_write_left_out(survey, clusters), *_write_input(used, survey, manifest)]
    for part in built:
        if part.left_out:
            lines += [*to_comment(f"left out: {part.left_out}")]
            lines += [f"# {line}" for source in part.sources for line in _write_source(source)]
            lines.append("")
    if not used:
        lines += to_comment(
            f"nothing gives a group all of {', '.join(features)}. Where a group's sensors are devices of "
            "their own without `top`, `1` or the like in their names, write a source for each, with the same "
            "group in all of them"
        )
    return "\n".join(lines).rstrip() + "\n", bool(used)


def _write_left_out(survey: Survey, clusters: Sequence[Cluster]) -> list[str]:
    lines: list[str] = []
    for name, reason in _NOT_TAKEN_APART.items():
        topics = [t.topic for t in survey.topics.values() if t.format == name and not t.series]
        if topics:
            lines += to_comment(f"left out: {len(topics)} topic(s) such as {topics[0]}, {reason}")
    incomplete = [
        group for cluster in clusters for group in cluster.groups if not group.assignment.is_complete
    ]
    for group in incomplete[:_MAX_SHOWN_INCOMPLETE]:
        problems = "; ".join(group.assignment.problems)
        lines += to_comment(f"left out: {_describe(group)}: {problems}")
    if len(incomplete) > _MAX_SHOWN_INCOMPLETE:
        lines += to_comment(f"and {len(incomplete) - _MAX_SHOWN_INCOMPLETE} more groups without all features")
    return [*lines, ""] if lines else []


def _describe(group: Group) -> str:
    name = "/".join(filter(None, [*group.name, group.rest]))
    return f"group {name!r}" if name else f"topic {next(iter(group.parts))}"


def _write_input(used: Sequence[ClusterSources], survey: Survey, manifest: Manifest) -> list[str]:
    if not used:
        return []
    features = manifest.feature_names
    pace = propose_pace([group.assignment.features for part in used for group in part.groups], survey.seconds)
    short = _short_form(used, features)
    if short is not None:
        return [*_describe_groups(used[0]), *short, *_write_windows(pace, manifest.sample_period)]
    lines: list[str] = []
    for part in used:
        lines += _describe_groups(part)
        for source in part.sources:
            lines += ["[[input.sources]]", *_write_source(source), ""]
    is_complete = [_is_complete(source, features) for part in used for source in part.sources]
    if all(is_complete):
        return [*lines, *_write_windows(pace, manifest.sample_period)]
    lines += _write_alignment(pace)
    if any(is_complete):
        lines += ["", *_write_windows(pace, pace.period or manifest.sample_period, pace.max_age or 0.0)]
    return lines


def _describe_groups(part: ClusterSources) -> list[str]:
    shown = ", ".join(part.names[:_MAX_SHOWN_GROUPS])
    more = f" and {len(part.names) - _MAX_SHOWN_GROUPS} more" if len(part.names) > _MAX_SHOWN_GROUPS else ""
    lines = to_comment(f"{len(part.names)} group(s): {shown}{more}")
    for guess in part.groups[0].assignment.guesses:
        lines += to_comment(f"decide: which sensor is which? {guess}")
    for note in part.notes:
        lines += to_comment(f"note: {note}")
    return lines


def _write_source(source: SourceText) -> list[str]:
    lines = [line for text in source.comments for line in to_comment(f"decide: {text}")]
    settings = {name: value for name, value in source.settings.items() if (name, value) != ("format", "json")}
    features: Mapping[str, Any] = settings.get("features", {})
    is_long = len(to_toml(features)) > _MAX_INLINE
    lines += [
        f"{name} = {to_toml(value)}" for name, value in settings.items() if name != "features" or not is_long
    ]
    if is_long:  # a table of its own, which must be the last
        lines += ["[input.sources.features]"]
        lines += [f"{to_key(name)} = {to_toml(value)}" for name, value in features.items()]
    return lines


def _short_form(used: Sequence[ClusterSources], features: Sequence[str]) -> list[str] | None:
    """Return `input.topics` and `input.fields`, if they are enough."""
    if len(used) != 1 or len(used[0].sources) != 1:
        return None
    source = used[0].sources[0]
    settings = dict(source.settings)
    paths: Mapping[str, Any] = settings.pop("features", {})
    topic, ts = settings.pop("topic"), settings.pop("ts", "ts")
    if settings != {"format": "json"} or source.comments or set(paths) != set(features) or "{" not in topic:
        return None
    fields = {feature: path for feature, path in {**paths, "ts": ts}.items() if path != feature}
    if not all(isinstance(path, str) for path in fields.values()):
        return None
    lines = ["[input]", f"topics = [{to_toml(topic)}]", ""]
    if fields:
        lines += [
            "[input.fields]",
            *(f"{to_key(name)} = {to_toml(path)}" for name, path in fields.items()),
            "",
        ]
    return lines


def _is_complete(source: SourceText, features: Sequence[str]) -> bool:
    settings = source.settings
    has_names = "key" in settings or "{feature}" in settings["topic"] or settings["format"] == "senml"
    return not has_names and "partial" not in settings and set(settings.get("features", ())) == {*features}


def _write_alignment(pace: Pace) -> list[str]:
    lines = ["[input.align]"]
    if pace.period is not None:
        lines.append(
            f"period = {to_toml(pace.period)}  # s between readings; the usual interval of the values"
        )
    lines.append(f"wait = {to_toml(pace.wait)}  # s that a message may be under way")
    if pace.max_age is not None:
        lines.append(
            f"max_age = {to_toml(pace.max_age)}  # s; 1.5 times the longest interval, at least 3 periods"
        )
    else:
        lines.append(
            "# max_age = 450.0  # s; decide: 1.5 times the longest interval at which a device reports"
        )
    for note in pace.notes:
        lines += to_comment(f"decide: {note}")
    if pace.deadband:
        lines += ["", "[input.align.deadband]  # the smallest changes that were reported; decide"]
        lines += [f"{to_key(name)} = {to_toml(step)}" for name, step in pace.deadband.items()]
    return lines


def _write_windows(pace: Pace, expected_period: float, max_age: float = 0.0) -> list[str]:
    """Return the settings of windows, where readings come more slowly than the monitor expects.

    Parameters
    ----------
    expected_period : seconds between readings from which the monitor derives its own `max_gap`.
    max_age : seconds that `max_gap` is at least.
    """
    needed = round(default_max_gap(pace.slowest), 1)
    if needed <= max(default_max_gap(expected_period), max_age):
        return []
    return [
        "[windows]",
        f"max_gap = {to_toml(needed)}  # s; some readings come every {pace.slowest:.3g} s",
    ]
