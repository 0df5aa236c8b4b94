"""The settings of a source, as they are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitor.cli.discover.candidates import Candidate, Shape
from monitor.cli.discover.groups import Group
from monitor.cli.discover.payloads import ABSENT_WORDS
from monitor.cli.discover.topic_parts import Slot
from monitor.cli.discover.units import convert
from monitor.ingest.paths import Path

__all__ = ["SourceText", "write_sources"]

_USUAL_ABSENT = ("unavailable", "unknown", "nan")
_HALF = 0.5


@dataclass(slots=True)
class SourceText:
    """One `[[input.sources]]`."""

    settings: dict[str, Any]
    comments: list[str]
    """What the reader must decide."""


def write_sources(
    shape: Shape,
    groups: Sequence[Group],
    names: Mapping[Slot, str],
    constants: Sequence[str] | None,
    *,
    merge: bool = True,
) -> list[SourceText]:
    """Return the sources of groups that are alike.

    Parameters
    ----------
    names : pieces of the topics that name the groups.
    constants : the name of each group, if the topics don't give it.
    merge : whether sources that differ in the feature's name in the topic become one.
    """
    merged: dict[Any, dict[str, list[Candidate]]] = {}
    for index, group in enumerate(groups):
        for feature, candidate in group.assignment.features.items():
            topic = group.parts[candidate.topic].template(dict(names))
            value = candidate.path if group.place_tag is not None else None
            # A source of one feature, where the topic names it.
            single = feature if shape.layout == "topic" else ""
            key = topic, constants[index] if constants else "", value, single
            merged.setdefault(key, {}).setdefault(feature, []).append(candidate)
    sources = []
    for (topic, group_name, value, _), features in merged.items():
        source = _write_source(shape, groups[0], topic, features, value)
        if group_name:
            source.settings["group"] = group_name
        elif groups[0].group_tag is not None:
            source.settings["group"] = "$." + ".".join(map(str, groups[0].group_tag))
        sources.append(source)
    return _merge_features(sources) if shape.layout == "topic" and merge else sources


def _write_source(
    shape: Shape, group: Group, topic: str, features: Mapping[str, list[Candidate]], value: Path | None
) -> SourceText:
    result = SourceText({"topic": topic, "format": shape.format}, [])
    settings = result.settings
    if shape.records:
        settings["records"] = write_path(shape.records)
    if value is not None and group.place_tag is not None:
        settings |= {"key": write_path(group.place_tag), "value": write_path(value)}
    elif shape.key is not None and shape.value is not None:
        default = {"senml": ("n", "v")}.get(shape.format)
        if default != (write_path(shape.key), write_path(shape.value)):
            settings |= {"key": write_path(shape.key), "value": write_path(shape.value)}
    elif shape.layout == "topic" and shape.format != "number" and shape.value != ("value",):
        settings["value"] = write_path(shape.value or ())
    _write_features(result, shape, group, features)
    _write_event_time(result, shape)
    _write_exceptions(result, shape, [candidate for found in features.values() for candidate in found])
    return result


def _write_exceptions(result: SourceText, shape: Shape, members: Sequence[Candidate]) -> None:
    """Write what tells values that are absent, in quotes, or not in each message."""
    settings, comments = result.settings, result.comments
    if shape.good is not None and shape.format not in {"number", "senml"}:
        settings["good"] = {".".join(map(str, shape.good[0])): shape.good[1]}
    texts = [text for c in members for text in c.series.texts if not _is_number(text)]
    absent = list(dict.fromkeys([*(_USUAL_ABSENT if shape.format == "number" else ()), *texts]))
    if absent:
        settings["absent"] = absent
        unusual = [text for text in texts if text.lower() not in ABSENT_WORDS]
        if unusual:
            comments.append(f"do these texts mean that there is no value? {', '.join(map(repr, unusual))}")
    if any(c.series.types["text number"] for c in members) or shape.is_ts_quoted:
        settings["numbers"] = "text"
    if shape.layout == "fields" and any(_is_partial(c) for c in members):
        settings["partial"] = True


def _is_partial(candidate: Candidate) -> bool:
    """Return whether some records of the candidate's device are without it, or have null."""
    series = candidate.survey.series
    rows = max(s.count for (_, tags, _), s in series.items() if set(candidate.tags) <= set(tags))
    return candidate.series.count < rows or bool(candidate.series.types["null"])


def _write_features(
    result: SourceText, shape: Shape, group: Group, features: Mapping[str, list[Candidate]]
) -> None:
    settings, comments = result.settings, result.comments
    written: dict[str, Any] = {}
    for feature, members in features.items():
        first = members[0]
        place: Any = write_path(first.path)
        if group.place_tag is not None:
            place = dict(first.tags).get(group.place_tag, "")
        elif shape.layout == "named":
            place = first.name
        conversion, comment = convert(first.label, [c.series for c in members])
        if comment:
            comments.append(f"{feature}: {comment}")
        if shape.layout == "topic" and not conversion:
            settings["feature"] = feature
            return
        if shape.layout == "topic":
            # Only `features` can convert, and only a topic with {feature} has them.
            _name_feature(settings, feature, conversion)
            return
        written[feature] = {"path": place, **conversion} if conversion else place
    settings["features"] = written


def _name_feature(settings: dict[str, Any], feature: str, conversion: Mapping[str, float]) -> None:
    settings["feature"] = feature
    settings["features"] = {feature: dict(conversion)}


def _write_event_time(result: SourceText, shape: Shape) -> None:
    settings, comments = result.settings, result.comments
    default = {"influx": "timestamp", "senml": "t"}.get(shape.format, "ts")
    if shape.ts is not None and write_path(shape.ts) != default:
        settings["ts"] = write_path(shape.ts)
    if shape.ts_format:
        settings["ts_format"] = shape.ts_format
    if shape.ts is None or shape.zone_hours is None:
        return
    hours = shape.zone_hours
    if hours == int(hours):
        # The names of these zones have the sign the other way round.
        settings["zone"] = f"Etc/GMT{-int(hours):+d}"
    comments.append(
        f"{write_path(shape.ts)} is local time without its zone, {hours:+g} h from UTC: name the zone, such "
        "as Europe/Berlin, so that it holds in summer and in winter"
    )


def write_path(path: Path) -> Any:
    """Return a path as a setting: dotted text where that is possible, else a list."""
    is_plain = all(isinstance(part, str) and part and "." not in part for part in path)
    return ".".join(map(str, path)) if is_plain else list(path)


def _merge_features(sources: list[SourceText]) -> list[SourceText]:
    """Make one source of those that differ in one level of the topic and in the feature."""
    merged: dict[Any, list[SourceText]] = {}
    for source in sources:
        rest = {key: str(value) for key, value in source.settings.items() if key not in {"topic", "feature"}}
        merged.setdefault(tuple(rest.items()), []).append(source)
    result: list[SourceText] = []
    for members in merged.values():
        result += _merge_alike(members)
    return result


def _merge_alike(members: list[SourceText]) -> list[SourceText]:
    levels = [source.settings["topic"].split("/") for source in members]
    different = [index for index, texts in enumerate(zip(*levels, strict=False)) if len(set(texts)) > 1]
    is_mergeable = (
        len(members) > 1
        and len({len(split) for split in levels}) == 1
        and len(different) == 1
        and not any("{" in split[different[0]] for split in levels)
        and not any("features" in source.settings for source in members)
        and len({split[different[0]] for split in levels}) == len(members)
    )
    if not is_mergeable:
        return members
    first = members[0]
    level = different[0]
    topic = "/".join("{feature}" if n == level else text for n, text in enumerate(levels[0]))
    features = {
        source.settings["feature"]: split[level] for source, split in zip(members, levels, strict=True)
    }
    settings = {key: value for key, value in first.settings.items() if key != "feature"}
    settings = {"topic": topic, "format": settings["format"], "features": features, **settings} | {
        "topic": topic
    }
    comments = [text for source in members for text in source.comments]
    return [SourceText(settings, comments)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
