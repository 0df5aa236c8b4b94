"""Describes what came, one line a kind of topic."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from monitor.cli.discover.statistics import Series
from monitor.cli.discover.survey import Survey, TopicSurvey
from monitor.cli.discover.words import GENERIC_WORDS
from monitor.core.printable import printable

__all__ = ["describe_survey"]

_MAX_KINDS, _MAX_FIELDS = 40, 6
_MAX_FIELD_LENGTH = 60


def describe_survey(survey: Survey) -> str:
    """Return the topics by kind, with formats, intervals, event times and fields, in several lines."""
    lines = [f"{survey} in {survey.seconds:.0f} s"]
    if survey.own_count:
        lines.append(f"{survey.own_count:,} of the messages are a monitor's own, and left out")
    if survey.left_out_topics:
        lines.append(f"{survey.left_out_topics:,} messages on further topics are left out")
    kinds: dict[Any, list[TopicSurvey]] = defaultdict(list)
    for topic in survey.topics.values():
        kinds[_kind(topic)].append(topic)
    for topics in sorted(kinds.values(), key=lambda topics: (-len(topics), topics[0].topic))[:_MAX_KINDS]:
        lines += _describe_kind(topics)
    if len(kinds) > _MAX_KINDS:
        lines.append(f"and {len(kinds) - _MAX_KINDS:,} more kinds of topics")
    return "\n".join(lines)


def _kind(topic: TopicSurvey) -> Any:
    """Return what the topics of a kind have in common: levels that are no names, format, fields."""
    first, *rest = topic.topic.split("/")
    levels = tuple(level.lower() if level.lower() in GENERIC_WORDS else "" for level in rest)
    paths = frozenset(str(path) for name, _, path in topic.series if not name)
    # Where a level such as `sensor` shows the kind, the first one may be the device's name.
    return levels, "" if any(levels) else first, topic.format, paths


def _describe_kind(topics: Sequence[TopicSurvey]) -> list[str]:
    """Return a line of the topics, and one of what is in their payloads."""
    columns = zip(*(topic.topic.split("/") for topic in topics), strict=True)
    template = "/".join(
        texts[0] if len(set(texts)) == 1 else f"{{{len(set(texts))} names}}" for texts in columns
    )
    intervals = sorted(found for topic in topics if (found := _interval(topic)) is not None)
    pace = f"every {intervals[len(intervals) // 2]:.3g} s" if intervals else "once"
    retained = sum(topic.retained for topic in topics)
    parts = [
        f"{len(topics)} topic(s)" if len(topics) > 1 else "",
        topics[0].format,
        pace,
        f"{retained} retained" if retained else "not retained",
        _describe_times(topics[0]),
    ]
    lines = [f"{printable(template)}: {', '.join(filter(None, parts))}"]
    fields = [_describe_field(key, series) for key, series in _join_fields(topics).items()]
    if fields:
        more = f"; and {len(fields) - _MAX_FIELDS} more" if len(fields) > _MAX_FIELDS else ""
        lines.append(f"    {'; '.join(fields[:_MAX_FIELDS])}{more}")
    return lines


def _interval(topic: TopicSurvey) -> float | None:
    """Return the usual interval of a topic's values, several of which may come at the same time."""
    found = [usual for s in topic.series.values() if (usual := s.intervals.median) is not None]
    return max(found) if found else topic.intervals.median


def _join_fields(topics: Sequence[TopicSurvey]) -> dict[str, list[Series]]:
    """Return the series of each field, numbers first."""
    result: dict[str, list[Series]] = defaultdict(list)
    for topic in topics:
        for (name, _, path), series in topic.series.items():
            if name and path != topic.payload.value:
                continue
            result[name or ".".join(map(str, path))].append(series)
    return dict(sorted(result.items(), key=lambda item: not any(series.is_number for series in item[1])))


def _describe_times(topic: TopicSurvey) -> str:
    texts = []
    for path, times in topic.event_times.items():
        zone = f", local time {times.zone_hours:+g} h" if times.zone_hours is not None else ""
        kind = "ISO 8601" if times.kind == "text" else times.kind
        texts.append(f"{printable('.'.join(map(str, path)))} ({kind}{zone})")
    return f"time in {', '.join(texts[:3])}" if texts else "no event time"


def _describe_field(name: str, members: Sequence[Series]) -> str:
    types = " or ".join(dict.fromkeys(kind for series in members for kind in series.types))
    text = f"{printable(name)[:_MAX_FIELD_LENGTH]} {types}"
    numbers = [series for series in members if series.is_number]
    if not numbers:
        return text
    low, high = min(series.low for series in numbers), max(series.high for series in numbers)
    if low == high:
        return f"{text} {low:g}"
    steps = [step for series in numbers if (step := series.step) is not None]
    text += f" {low:g} to {high:g}" + (f" step {min(steps):g}" if steps else "")
    return text + (", some repeated" if any(series.repeated for series in numbers) else "")
